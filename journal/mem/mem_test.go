package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/journaltest"
	"github.com/understudy-dr/understudy/journal/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open gives two handles of a new store.
func open(t *testing.T) journaltest.Pair {
	s := mem.NewStore()
	p := journaltest.Pair{
		A: s.Open(mem.Options{}), B: s.Open(mem.Options{}), Lease: 10 * time.Second,
		Pause:   func(name string) { s.Pause(name) },
		Compact: s.Compact,
	}
	t.Cleanup(func() {
		if err := errors.Join(p.A.Close(), p.B.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestConformance(t *testing.T) { journaltest.Simulate(t, openFaulty) }

func TestConformanceInRealTime(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Pair {
		p := open(t)
		p.Lease = journal.MinLease
		return p
	})
}

func write(key, value string) journal.Txn {
	return journal.Txn{Writes: []journal.Write{{Key: key, Value: []byte(value)}}}
}

func lead(t *testing.T, j journal.Journal) journal.Leadership {
	t.Helper()
	l, err := j.Lead(t.Context(), "crown", "me", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestHooksStopACommitBeforeAndAfter(t *testing.T) {
	dead := errors.New("dead")
	var asked []string
	var before, after error
	note := func(when string, err *error) func(journal.Txn) error {
		return func(x journal.Txn) error {
			asked = append(asked, when+" "+x.Writes[0].Key)
			return *err
		}
	}
	s := mem.NewStore()
	j := s.Open(mem.Options{BeforeCommit: note("before", &before), AfterCommit: note("after", &after)})
	defer j.Close()
	for _, c := range []struct {
		key           string
		before, after error
		want          error
		written       bool
	}{{"/a", nil, nil, nil, true}, {"/b", dead, nil, dead, false}, {"/c", nil, dead, dead, true}} {
		before, after = c.before, c.after
		if _, err := j.Commit(t.Context(), write(c.key, "v")); err != c.want {
			t.Errorf("%s: got %v, want %v", c.key, err, c.want)
		}
		if e, _ := j.Get(t.Context(), c.key); (e.Version != 0) != c.written {
			t.Errorf("%s: written is %v", c.key, !c.written)
		}
	}
	before, after = nil, nil
	refused := write("/d", "v")
	refused.Guards = []journal.Guard{{Key: "/d", Version: 9}}
	if _, err := j.Commit(t.Context(), refused); !errors.Is(err, journal.ErrConflict) {
		t.Error(err)
	}
	want := []string{"before /a", "after /a", "before /b", "before /c", "after /c", "before /d"}
	if len(asked) != len(want) {
		t.Fatalf("hooks were called for %q, want %q", asked, want)
	}
}

func TestDeposeRefusesAtOnceAndTellsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.NewStore()
		j := s.Open(mem.Options{})
		defer j.Close()
		if s.Depose("crown") {
			t.Error("deposed nobody")
		}
		l := lead(t, j)
		if !s.Depose("crown") {
			t.Error("did not depose")
		}
		select {
		case <-l.Lost():
			t.Fatal("told before a renewal or a commit")
		default:
		}
		begun := time.Now()
		<-l.Lost()
		if waited := time.Since(begun); waited > journal.RenewEvery(10*time.Second) {
			t.Errorf("told after %v", waited)
		}
		if _, err := j.Commit(t.Context(), journal.Txn{Leader: l}); !errors.Is(err, journal.ErrDeposed) {
			t.Error(err)
		}
		second := lead(t, j)
		s.Depose("crown")
		if _, err := j.Commit(t.Context(), journal.Txn{Leader: second}); !errors.Is(err, journal.ErrDeposed) {
			t.Error(err)
		}
		<-second.Lost()
	})
}

func TestPauseKeepsTheLeadershipUntilTheLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.NewStore()
		j := s.Open(mem.Options{})
		defer j.Close()
		l := lead(t, j)
		s.Pause("crown")
		if _, err := j.Commit(t.Context(), journal.Txn{Leader: l}); err != nil {
			t.Errorf("paused, but its lease has not ended: %v", err)
		}
		begun := time.Now()
		<-l.Lost()
		if got := time.Since(begun); got != 9*time.Second {
			t.Errorf("lost after %v, want the lease less its margin", got)
		}
		if _, err := j.Commit(t.Context(), journal.Txn{Leader: l}); err != nil {
			t.Errorf("past its deadline, but nobody else can lead yet: %v", err)
		}
		lead(t, j)
		if got := time.Since(begun); got != 10*time.Second {
			t.Errorf("another led after %v, want the lease", got)
		}
	})
}

func TestCloneIsTheStateAfterACrash(t *testing.T) {
	s := mem.NewStore()
	j := s.Open(mem.Options{})
	defer j.Close()
	l := lead(t, j)
	if _, err := j.Commit(t.Context(), write("/a", "1")); err != nil {
		t.Fatal(err)
	}
	c := s.Clone()
	k := c.Open(mem.Options{})
	defer k.Close()
	if _, err := k.Commit(t.Context(), journal.Txn{Leader: l}); !errors.Is(err, journal.ErrDeposed) {
		t.Errorf("the original's leader in the copy: %v", err)
	}
	second := lead(t, k)
	if second.Term() <= l.Term() {
		t.Errorf("term %d after %d", second.Term(), l.Term())
	}
	if _, err := k.Commit(t.Context(), write("/a", "2")); err != nil {
		t.Fatal(err)
	}
	if e, _ := j.Get(t.Context(), "/a"); string(e.Value) != "1" {
		t.Errorf("the original has %q", e.Value)
	}
	if c.Revision() <= s.Revision() {
		t.Errorf("revision %d in the copy, %d in the original", c.Revision(), s.Revision())
	}
	if _, err := j.Commit(t.Context(), journal.Txn{Leader: l}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the original's leader: %v", err)
	}
}
