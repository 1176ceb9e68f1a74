package storage_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/storage"
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
	_, file := reprotected(t, func(s *stagehand) { s.changes(trees()[0]) })
	want := map[string]string{"d0/new": "foreign", "d2/f2": "altered", "d1/f4": "restyled"}
	if got := listed(t, file); !maps.Equal(got, want) {
		t.Fatalf("the ledger lists %v, want %v", got, want)
	}
}

// reprotected fails over from east, which was altered before it was lost, and protects it anew; it gives the first tree's list.
func reprotected(t *testing.T, alter func(*stagehand)) (hand *stagehand, file string) {
	t.Helper()
	s := story{prepare: func(s *stagehand) {
		hand = s
		s.writes(east, 6)
		s.do(understudy.Protect, control.Committed)
		alter(s)
		s.loses()
		s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		must(t, s.back())
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
	return hand, files[0]
}

// TestALedgerKeepsNamesThatAreNoText finds each file and directory of an export where the export says that it is kept.
func TestALedgerKeepsNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	tree := trees()[0]
	made := map[string]string{
		"L2\xffbytes": `L2\xffbytes`, "D\xfe\xffir/in": `D\xfe\xffir`, "d0/b\\x\xc3": `d0/b\\x\xc3`, "d1/\xed\xa0\x80": `d1/\xed\xa0\x80`,
		`b\xff`: `b\xff`, "line\nend": "line\nend", "\ufffd": "\ufffd", "ü <&>": "ü <&>",
	}
	s, file := reprotected(t, func(s *stagehand) {
		for name := range made {
			path := filepath.Join(s.root[east]+tree, name)
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("in "+name), 0o644))
			if errors.Is(err, syscall.EILSEQ) {
				t.Skip("the file system takes no name that is not UTF-8")
			}
			must(t, err)
		}
	})
	area := s.root[east] + "/data/.curated.understudy/"
	quarantine := "quarantine/ledger-" + filepath.Base(filepath.Dir(file)) + "/"
	for name := range made {
		if b, err := os.ReadFile(area + quarantine + name); err != nil || string(b) != "in "+name {
			t.Errorf("%q is not kept: %q, %v", name, b, err)
		}
	}
	want := map[string]string{}
	for name, text := range made {
		want[text] = quarantine + text
		if !utf8.ValidString(name) {
			want[text] += " escaped"
		}
	}
	got := map[string]string{}
	must(t, storage.Kind().ExportLedger(t.Context(), filepath.Dir(file), func(b []byte) error {
		var line struct {
			Path, Kept string
			Escaped    bool
		}
		err := json.Unmarshal(b, &line)
		got[line.Path] = line.Kept
		if line.Escaped {
			got[line.Path] += " escaped"
		}
		return err
	}))
	if !maps.Equal(got, want) {
		t.Errorf("the export says %q, want %q", got, want)
	}
	must(t, os.WriteFile(filepath.Join(s.root[east]+tree, "v\xff"), nil, 0o644))
	v := s.p.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed).Parts[0].Verdict
	if v == nil || len(v.Differences) == 0 || v.Differences[0].Text != `v\xff: foreign at east` {
		t.Errorf("verify says %+v", v)
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
