package storage

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// FuzzLinesOfALedger writes a line as a step does, and reads it as its repeat and the export do.
func FuzzLinesOfALedger(f *testing.F) {
	for _, p := range []string{"a/b", `a\xff`, "L2\xffbytes", `\xff\` + "\xff", "\ufffd", "line\nend", "<&>\u2028\xc3"} {
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, name string, moved bool) {
		p := filecopy.Path(name)
		if p.Check() != nil {
			return
		}
		want := divergent{Tree: "/data", Path: p, How: filecopy.Foreign, Kind: "file", Size: 3, Modified: time.Unix(1, 0).UTC(), Owner: "app", Mode: "0644"}
		if moved {
			want.Kept = "quarantine/ledger-op-1/" + name
		}
		line, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, line); got != want {
			t.Fatalf("%s is read as %#v, want %#v", line, got, want)
		}
	})
}

// TestLinesOfALedger pins what is written, and that what earlier versions wrote is read as it stands.
func TestLinesOfALedger(t *testing.T) {
	for line, want := range map[string]divergent{
		`{"tree":"/t","path":"a\\xff","how":"foreign","kept":"q/a\\xff"}`:                        {Tree: "/t", Path: `a\xff`, How: filecopy.Foreign, Kept: `q/a\xff`},
		`{"tree":"/t","path":"\\\\a\\xff","how":"foreign","kept":"q/\\\\a\\xff","escaped":true}`: {Tree: "/t", Path: "\\a\xff", How: filecopy.Foreign, Kept: "q/\\a\xff"},
		`{"tree":"/t","path":"a\\xff","how":"missing","escaped":true}`:                           {Tree: "/t", Path: "a\xff", How: filecopy.Missing},
	} {
		if got := string(encode(want)); got != line {
			t.Errorf("%#v is written\n%s, want\n%s", want, got, line)
		}
		if got := read(t, []byte(line)); got != want {
			t.Errorf("%s is read as %#v, want %#v", line, got, want)
		}
	}
	var d divergent
	for _, bad := range []string{`{"path":"\\n","escaped":true}`, `{"path":"\\xff","kept":"\\xf","escaped":true}`} {
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is read as %#v", bad, d)
		}
	}
}

// read has one line of a ledger's file read.
func read(t *testing.T, line []byte) (out divergent) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tree-0.jsonl")
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := eachLine(file, sha256.New(), func(d divergent) error { out = d; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}
