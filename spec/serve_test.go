package spec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
)

func serveOf(t *testing.T, text string) Serve {
	t.Helper()
	s, err := ParseServe(Source{Name: "serve.yaml", Text: []byte(text)})
	if err != nil {
		t.Fatal(render(err))
	}
	return s
}

func TestServeDefaults(t *testing.T) {
	s := serveOf(t, "site: west\ndata: /var/lib/understudy\n")
	if !s.Journal.Etcd.Embedded() || s.SocketPath() != "/var/lib/understudy/understudy.sock" {
		t.Errorf("journal %+v, socket %s", s.Journal, s.SocketPath())
	}
	if s.Limits != DefaultServe().Limits || s.Limits.Fetch != 64<<20 || s.Limits.Lease != 5*time.Second || s.Log.Level != "info" {
		t.Errorf("limits %+v, log %+v", s.Limits, s.Log)
	}
}

// TestServeNeedsNotWhatIsGiven leaves out of the file what flags say, and nothing else.
func TestServeNeedsNotWhatIsGiven(t *testing.T) {
	src := Source{Name: "serve.yaml", Text: []byte("log: { level: warn }\n")}
	s, err := ParseServe(src, "site", "data")
	if err != nil || s.Log.Level != "warn" || s.Site != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	_, err = ParseServe(src, "site")
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 1 || ps[0].Path != "data" {
		t.Fatalf("without data the answer is %v", err)
	}
}

func TestServeFull(t *testing.T) {
	src := source(t, "testdata/good/serve-full.yaml")
	s := serveOf(t, string(src.Text))
	if s.Site != "west" || s.Hooks["flip-dns"].Timeout != 2*time.Minute || s.Hooks["flip-dns"].Exec[1] != "--now" {
		t.Errorf("it is %+v", s)
	}
	if p := s.Provisioners["start-lake"]; p == nil || p.Timeout != 30*time.Minute || len(p.Exec) != 3 {
		t.Errorf("provisioners %+v", s.Provisioners)
	}
	if got := strings.Join(s.Secrets.Names(), " "); got != "east-ca mq-east mq-west" {
		t.Errorf("secrets: %s", got)
	}
	e := serveOf(t, "site: west\ndata: /d\njournal: { etcd: { endpoints: ['https://a:2379'], tls: { ca: /ca.pem } } }\nlisten: { socket: /run/u.sock }\n")
	if e.Journal.Etcd.Embedded() || e.Journal.Etcd.Prefix != "/understudy" || e.SocketPath() != "/run/u.sock" {
		t.Errorf("it is %+v", e)
	}
}

func TestServeKnowsWhatPlansName(t *testing.T) {
	set := contoso(t)
	s := serveOf(t, "site: west\ndata: /d\nsecrets: { mq-east: { env: A }, mq-wst: { env: B } }\nhooks: { smoke: { exec: [/bin/true] } }\nprovisioners: { start-lakes: { exec: [/bin/true] } }\n")
	err := s.Check(set)
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 5 {
		t.Fatalf("the answer is %v", err)
	}
	golden(t, "testdata/serve-check.txt", ps.Render())
	s = serveOf(t, "site: west\ndata: /d\nsecrets: { mq-east: { env: A }, mq-west: { env: B }, east-ca: { env: C } }\n"+
		"hooks: { smoke: { exec: [/bin/true] }, flip-dns: { exec: [/bin/true] }, stop-oozie: { exec: [/bin/true] } }\nprovisioners: { start-lake: { exec: [/bin/true] } }\n")
	if err := s.Check(set); err != nil {
		t.Errorf("everything is known, and the answer is %v", err)
	}
}

// TestServeLetsBeWhatIsApplied takes a change beside a name that went from the configuration, and no new such name.
func TestServeLetsBeWhatIsApplied(t *testing.T) {
	old := contoso(t)
	text := strings.Replace(old.Canonical(), "mq-w1:9093", "mq-w2:9093", 1)
	next, err := Parse(toys(), Set{}, Source{Name: "documents", Text: []byte(text)})
	if err != nil || text == old.Canonical() {
		t.Fatal(err)
	}
	s := serveOf(t, "site: west\ndata: /d\n")
	if err := s.CheckChange(old, next); err != nil {
		t.Errorf("nothing new is named, and the answer is %v", err)
	}
	renamed, err := Parse(toys(), Set{}, Source{Name: "documents", Text: []byte(strings.Replace(text, "mq-west", "mq-wst", 1))})
	if err != nil {
		t.Fatal(err)
	}
	var ps Problems
	if !errors.As(s.CheckChange(old, renamed), &ps) || len(ps) != 1 || ps[0].Code != codeSecretName || ps[0].Document != (Ref{"site", "west"}) {
		t.Fatalf("the answer is %v", ps)
	}
	// The same problem, where the reader of the files knows it.
	if at := old.At(ps); len(at) != 1 || at[0].File != "alone-contoso.yaml" || at[0].Line != 18 || at[0].Summary != ps[0].Summary {
		t.Errorf("it stands at %v", at)
	}
	if at := (Set{}).At(ps); len(at) != 1 || at[0].File != "documents" {
		t.Errorf("without the document it stands at %v", at)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SPEC_TEST_SECRET", "from-env")
	t.Setenv("SPEC_TEST_EMPTY", "")
	s := Secrets{
		"env":     {Env: "SPEC_TEST_SECRET"},
		"empty":   {Env: "SPEC_TEST_EMPTY"},
		"unset":   {Env: "SPEC_TEST_UNSET"},
		"file":    {File: path},
		"nofile":  {File: filepath.Join(dir, "none")},
		"exec":    {Exec: []string{"/bin/sh", "-c", "printf 'from-%s\n' exec"}},
		"fails":   {Exec: []string{"/bin/sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"}},
		"slow":    {Exec: []string{"/bin/sh", "-c", "exec sleep 60"}, Timeout: 50 * time.Millisecond},
		"nowhere": {},
	}
	for _, c := range []struct {
		name, want string
		code       understudy.Code
	}{
		{"env", "from-env", ""}, {"file", "from-file", ""}, {"exec", "from-exec", ""},
		{"empty", "", "US435"}, {"unset", "", "US434"}, {"nofile", "", codeSecretRead},
		{"fails", "", codeSecretRead}, {"slow", "", codeSecretRead}, {"nowhere", "", codeSecretRead}, {"exce", "", codeSecretName},
	} {
		got, err := s.Read(context.Background(), c.name)
		if string(got) != c.want || (err == nil) != (c.code == "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		if e := understudy.AsError(err); err != nil && (e.Code != c.code || strings.Contains(e.Error()+e.Why+e.Fix, "hunter2")) {
			t.Errorf("%s: %v %s", c.name, e, e.Why)
		}
	}
	_, err := s.Read(context.Background(), "exce")
	if e := understudy.AsError(err); !strings.Contains(e.Fix, `did you mean "exec"?`) || e.Kind != understudy.KindNotFound {
		t.Errorf("the fix is %q, the kind %s", e.Fix, e.Kind)
	}
}

func TestSecretIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	s := Secrets{"a": {File: path}}
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(context.Background(), "a"); string(got) != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := os.WriteFile(path, make([]byte, secretLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(context.Background(), "a"); err == nil {
		t.Error("a secret of more than the limit was read")
	}
}
