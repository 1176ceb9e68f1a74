package control_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// TestLedgerCounts replaces what the scan told by what was saved, and counts another file of the same offsets, of a
// topic that was made anew meanwhile, beside it.
func TestLedgerCounts(t *testing.T) {
	t.Parallel()
	var l control.LedgerRecord
	e := understudy.LedgerEntry{Shard: "orders-0", Site: "east", Records: 3, Bytes: 30}
	l.Add(e)
	e.File = "a"
	l.Add(e)
	l.Add(e)
	if l.Records != 3 || l.Bytes != 30 || len(l.Entries) != 1 {
		t.Fatalf("after the save: %+v", l)
	}
	e.File, e.Records, e.Bytes = "b", 1, 10
	l.Add(e)
	if l.Records != 4 || l.Bytes != 40 || len(l.Entries) != 2 {
		t.Fatalf("after another file: %+v", l)
	}
}
