package journal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

func TestCheckLimits(t *testing.T) {
	long := strings.Repeat("k", journal.MaxKey)
	put := func(key string, size int) journal.Write { return journal.Write{Key: key, Value: make([]byte, size)} }
	for name, c := range map[string]struct {
		txn   journal.Txn
		valid bool
	}{
		"nothing":            {journal.Txn{}, true},
		"longest key":        {journal.Txn{Writes: []journal.Write{{Key: long}}, Guards: []journal.Guard{{Key: long}}}, true},
		"too long a key":     {journal.Txn{Writes: []journal.Write{{Key: long + "k"}}}, false},
		"too long a guard":   {journal.Txn{Guards: []journal.Guard{{Key: long + "k"}}}, false},
		"no key":             {journal.Txn{Writes: []journal.Write{{}}}, false},
		"largest value":      {journal.Txn{Writes: []journal.Write{put("/a", journal.MaxValue)}}, true},
		"too large together": {journal.Txn{Writes: []journal.Write{put("/a", journal.MaxValue), put("/b", 1)}}, false},
		"twice":              {journal.Txn{Writes: []journal.Write{put("/a", 1), {Key: "/a"}}}, false},
		"a leader's key":     {journal.Txn{Writes: []journal.Write{put(journal.LeaderKey("x"), 1)}}, false},
		"a guard on it":      {journal.Txn{Guards: []journal.Guard{{Key: journal.LeaderKey("x")}}}, true},
		"many guards":        {journal.Txn{Guards: make([]journal.Guard, journal.MaxOps+1)}, false},
	} {
		err := c.txn.Check()
		if (err == nil) != c.valid || (err != nil && !errors.Is(err, journal.ErrInvalid)) {
			t.Errorf("%s: got %v, want valid %v", name, err, c.valid)
		}
	}
}

func TestErrorsAreOfTheVocabulary(t *testing.T) {
	for _, c := range []struct {
		err  error
		is   error
		code understudy.Code
		kind understudy.ErrorKind
		says string
	}{
		{journal.Txn{Writes: []journal.Write{{}}}.Check(), journal.ErrInvalid, "US301", understudy.KindInvalid, "0 bytes"},
		{journal.Conflict("/a"), journal.ErrConflict, "US302", understudy.KindConflict, `"/a"`},
		{journal.Deposed("crown", 7), journal.ErrDeposed, "US303", understudy.KindFenced, "term 7"},
		{journal.Closed("journal.get"), journal.ErrClosed, "US304", understudy.KindFenced, "closed"},
		{journal.Compacted(3, 9, 12), journal.ErrCompacted, "US305", understudy.KindConflict, "revision 3"},
	} {
		e := understudy.AsError(c.err)
		if !errors.Is(c.err, c.is) || e.Code != c.code || e.Kind != c.kind || !strings.Contains(e.Error(), c.says) {
			t.Errorf("got %v of kind %s, want %s of kind %s that says %s", c.err, e.Kind, c.code, c.kind, c.says)
		}
	}
}

func TestMarginLeavesRoomForTwoMissedRenewals(t *testing.T) {
	for _, lease := range []time.Duration{journal.MinLease, time.Second, time.Minute} {
		if left := lease - journal.Margin(lease) - 3*journal.RenewEvery(lease); left <= 0 {
			t.Errorf("lease %v: the third renewal comes %v after the deadline", lease, -left)
		}
	}
}
