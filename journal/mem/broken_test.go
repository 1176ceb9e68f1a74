package mem_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/journaltest"
)

// faultVariable names the fault that the conformance suite of a child process must find.
const faultVariable = "UNDERSTUDY_JOURNAL_TEST_FAULT"

// broken is a journal with one guarantee missing; functions that are nil keep theirs.
type broken struct {
	journal.Journal
	get    func(journal.Journal, context.Context, string) (journal.Entry, error)
	list   func([]journal.Entry) []journal.Entry
	commit func(journal.Journal, context.Context, journal.Txn) (journal.Revision, error)
	each   func(journal.Event, func(journal.Event) error) error
	after  func(journal.Revision) journal.Revision
	lead   func(journal.Leadership) journal.Leadership
	close  func(journal.Journal) error
}

// lyingLeadership is a leadership with one answer changed; it is unwrapped before it is used.
type lyingLeadership struct {
	journal.Leadership
	deadline func() time.Time
	term     func() int64
	lost     <-chan struct{}
	resign   func() error
}

// Deadline lies where it is told to.
func (l lyingLeadership) Deadline() time.Time {
	if l.deadline != nil {
		return l.deadline()
	}
	return l.Leadership.Deadline()
}

// Term lies where it is told to.
func (l lyingLeadership) Term() int64 {
	if l.term != nil {
		return l.term()
	}
	return l.Leadership.Term()
}

// Lost lies where it is told to.
func (l lyingLeadership) Lost() <-chan struct{} {
	if l.lost != nil {
		return l.lost
	}
	return l.Leadership.Lost()
}

// Resign does not where it is told to.
func (l lyingLeadership) Resign(ctx context.Context) error {
	if l.resign != nil {
		return l.resign()
	}
	return l.Leadership.Resign(ctx)
}

func (b broken) Get(ctx context.Context, key string) (journal.Entry, error) {
	if b.get != nil {
		return b.get(b.Journal, ctx, key)
	}
	return b.Journal.Get(ctx, key)
}

func (b broken) List(ctx context.Context, prefix string) ([]journal.Entry, journal.Revision, error) {
	entries, rev, err := b.Journal.List(ctx, prefix)
	if b.list != nil {
		entries = b.list(entries)
	}
	return entries, rev, err
}

func (b broken) Commit(ctx context.Context, t journal.Txn) (journal.Revision, error) {
	if l, ok := t.Leader.(lyingLeadership); ok {
		t.Leader = l.Leadership
	}
	if b.commit != nil {
		return b.commit(b.Journal, ctx, t)
	}
	return b.Journal.Commit(ctx, t)
}

func (b broken) Watch(ctx context.Context, prefix string, after journal.Revision, each func(journal.Event) error) error {
	if b.after != nil {
		after = b.after(after)
	}
	if b.each == nil {
		return b.Journal.Watch(ctx, prefix, after, each)
	}
	return b.Journal.Watch(ctx, prefix, after, func(e journal.Event) error { return b.each(e, each) })
}

func (b broken) Lead(ctx context.Context, name, holder string, lease time.Duration) (journal.Leadership, error) {
	l, err := b.Journal.Lead(ctx, name, holder, lease)
	if b.lead != nil && err == nil {
		l = b.lead(l)
	}
	return l, err
}

func (b broken) Close() error {
	if b.close != nil {
		return b.close(b.Journal)
	}
	return b.Journal.Close()
}

// fault is a missing guarantee and the case of the suite that must find it.
type fault struct {
	found  string
	broken broken
}

// faults are the negative controls of the conformance suite.
func faults() map[string]fault {
	all := map[string]fault{
		"guards are ignored":        {"guards", broken{commit: without(func(t *journal.Txn) { t.Guards = nil })}},
		"the last guard is ignored": {"guards", broken{commit: without(func(t *journal.Txn) { t.Guards = t.Guards[:min(len(t.Guards), 1)] })}},
		"the leader is ignored":     {"a_paused_leader_is_deposed_and_refused", broken{commit: without(func(t *journal.Txn) { t.Leader = nil })}},
		"a commit is two":           {"a_list_never_shows_half_a_commit", broken{commit: halves}},
		"reads are old":             {"linearizable", broken{get: staleReads()}},
		"a list lacks its last":     {"list_by_prefix_at_one_revision", broken{list: func(e []journal.Entry) []journal.Entry { return e[:max(len(e)-1, 0)] }}},
		"an empty value is none":    {"largest_and_oddest_values", broken{commit: without(dropEmpty)}},
		"values are cut":            {"largest_and_oddest_values", broken{get: cutValues}},
	}
	for name, f := range watchFaults() {
		all[name] = f
	}
	for name, f := range leaderFaults() {
		all[name] = f
	}
	return all
}

func watchFaults() map[string]fault {
	return map[string]fault{
		"a watch skips deletions": {"watch_from_an_old_revision", broken{each: func(e journal.Event, next func(journal.Event) error) error {
			if e.Value == nil {
				return nil
			}
			return next(e)
		}}},
		"a watch skips one change": {"watch_misses_nothing", broken{each: func(e journal.Event, next func(journal.Event) error) error {
			if strings.HasPrefix(string(e.Value), "91 ") {
				return nil
			}
			return next(e)
		}}},
		"a watch begins one late":     {"watch_from_an_old_revision", broken{after: func(r journal.Revision) journal.Revision { return r + 1 }}},
		"a watch forgives compaction": {"watch_of_what_is_not_kept", broken{after: func(r journal.Revision) journal.Revision { return max(r, 4) }}},
		"a watch swallows its error": {"watch_ends_as_told", broken{each: func(e journal.Event, next func(journal.Event) error) error {
			_ = next(e)
			return nil
		}}},
	}
}

func leaderFaults() map[string]fault {
	return map[string]fault{
		"the deadline is too late": {"a_paused_leader_is_deposed_and_refused", broken{lead: func(l journal.Leadership) journal.Leadership {
			return lyingLeadership{Leadership: l, deadline: func() time.Time { return l.Deadline().Add(2 * time.Second) }}
		}}},
		"the deadline stands still": {"a_lease_is_renewed", broken{lead: func(l journal.Leadership) journal.Leadership {
			first := l.Deadline()
			return lyingLeadership{Leadership: l, deadline: func() time.Time { return first }}
		}}},
		"terms repeat": {"one_leader", broken{lead: func(l journal.Leadership) journal.Leadership {
			return lyingLeadership{Leadership: l, term: func() int64 { return 7 }}
		}}},
		"resigning does nothing": {"resign", broken{lead: func(l journal.Leadership) journal.Leadership {
			return lyingLeadership{Leadership: l, resign: func() error { return nil }}
		}}},
		"the loss is never told": {"a_paused_leader_is_deposed_and_refused", broken{lead: func(l journal.Leadership) journal.Leadership {
			return lyingLeadership{Leadership: l, lost: make(chan struct{})}
		}}},
		"closing does nothing": {"close", broken{close: func(journal.Journal) error { return nil }}},
	}
}

// without changes a transaction before it is committed.
func without(change func(*journal.Txn)) func(journal.Journal, context.Context, journal.Txn) (journal.Revision, error) {
	return func(j journal.Journal, ctx context.Context, t journal.Txn) (journal.Revision, error) {
		change(&t)
		return j.Commit(ctx, t)
	}
}

func dropEmpty(t *journal.Txn) {
	for i, w := range t.Writes {
		if len(w.Value) == 0 {
			t.Writes[i].Value = nil
		}
	}
}

// halves commits the last write apart.
func halves(j journal.Journal, ctx context.Context, t journal.Txn) (journal.Revision, error) {
	if len(t.Writes) < 2 {
		return j.Commit(ctx, t)
	}
	last := t.Writes[len(t.Writes)-1:]
	t.Writes = t.Writes[:len(t.Writes)-1]
	if _, err := j.Commit(ctx, t); err != nil {
		return 0, err
	}
	return j.Commit(ctx, journal.Txn{Writes: last})
}

// staleReads answers every read with what the read before it found.
func staleReads() func(journal.Journal, context.Context, string) (journal.Entry, error) {
	var mu sync.Mutex
	seen := map[string]journal.Entry{}
	return func(j journal.Journal, ctx context.Context, key string) (journal.Entry, error) {
		mu.Lock()
		defer mu.Unlock()
		e, err := j.Get(ctx, key)
		old, ok := seen[key]
		seen[key] = e
		if !ok || !strings.HasPrefix(key, "/r/") {
			return e, err
		}
		return old, err
	}
}

func cutValues(j journal.Journal, ctx context.Context, key string) (journal.Entry, error) {
	e, err := j.Get(ctx, key)
	if len(e.Value) > 1<<19 {
		e.Value = bytes.Clone(e.Value[:1<<19])
	}
	return e, err
}

// openFaulty opens the pair, with the fault that the environment names.
func openFaulty(t *testing.T) journaltest.Pair {
	p := open(t)
	if f, ok := faults()[os.Getenv(faultVariable)]; ok {
		a, b := f.broken, f.broken
		a.Journal, b.Journal = p.A, p.B
		p.A, p.B = a, b
	}
	return p
}

// TestEachFaultIsFound runs the suite in a process of its own for each fault: it must fail, in the case that is about
// the guarantee. Those that hang are ended by the bubble they run in.
func TestEachFaultIsFound(t *testing.T) {
	if os.Getenv(faultVariable) != "" {
		return
	}
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConformance$/^"+f.found+"$", "-test.timeout=60s")
			child.Env = append(os.Environ(), faultVariable+"="+name)
			out, err := child.CombinedOutput()
			var ended *exec.ExitError
			if !errors.As(err, &ended) {
				t.Fatalf("the suite found nothing (%v):\n%s", err, out)
			}
			if !bytes.Contains(out, []byte("TestConformance/"+f.found)) {
				t.Fatalf("the suite found something else:\n%s", out)
			}
		})
	}
}
