package storage_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// changes alters a lost side in every way that a user would miss, and in two that nobody would: a file gets the bytes
// that it had, as one does that was open when the set was captured, and a directory the time of a new file in it.
func (s *stagehand) changes(tree string) {
	file := func(name string) string { return filepath.Join(s.root[east]+tree, name) }
	latest, err := os.ReadFile(file("latest"))
	must(s.t, err)
	old, err := os.ReadFile(file("d2/f2"))
	must(s.t, err)
	old[0] ^= 1
	must(s.t, errors.Join(
		os.WriteFile(file("latest"), latest, 0o644), os.WriteFile(file("d0/new"), []byte("new"), 0o644),
		os.WriteFile(file("d2/f2"), old, 0o644), os.Chmod(file("d1/f4"), 0o600),
	))
}

func TestALedgerListsWhatAUserWouldMissAndNothingElse(t *testing.T) {
	t.Parallel()
	tree := trees()[0]
	s := story{prepare: func(s *stagehand) {
		s.writes(east, 6)
		s.do(understudy.Protect, control.Committed)
		s.changes(tree)
		back, err := s.lose(t.Context(), east)
		must(t, err)
		s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		must(t, back())
		s.rest()
		s.do(understudy.Reprotect, control.Committed)
		must(t, s.same(t.Context()))
	}}
	e := s.estate(t)
	p := controltest.Start(t, e.Setup)
	p.Apply()
	e.Prepare(p)
	files, err := filepath.Glob(filepath.Join(e.Setup.DataDir, "ledger", "contoso", "curated", "*", "tree-0.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("ledgers: %q, %v", files, err)
	}
	want := map[string]string{"d0/new": "foreign", "d2/f2": "altered", "d1/f4": "restyled"}
	if got := listed(t, files[0]); !maps.Equal(got, want) {
		t.Fatalf("the ledger lists %v, want %v", got, want)
	}
}

// listed reads a ledger's file: how each path differs.
func listed(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	must(t, err)
	defer func() { _ = f.Close() }()
	out := map[string]string{}
	for lines := json.NewDecoder(f); ; {
		var line struct{ Path, How string }
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		out[line.Path] = line.How
	}
}
