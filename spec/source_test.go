package spec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/workload"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFilesReadsATree(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a/z.yml", "a/deep/y.yaml", ".hidden/x.yaml", "a/.x.yaml", "notes.txt", "c.yaml.bak"} {
		write(t, filepath.Join(dir, name), "# "+name)
	}
	got, err := Files(dir, filepath.Join(dir, "notes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range got {
		rel, _ := filepath.Rel(dir, s.Name)
		if string(s.Text) != "# "+filepath.ToSlash(rel) {
			t.Errorf("%s holds %q", s.Name, s.Text)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	if want := "a/deep/y.yaml a/z.yml b.yaml notes.txt"; strings.Join(names, " ") != want {
		t.Errorf("read %v, want %s", names, want)
	}
}

func TestFilesTellsAllThatIsMissing(t *testing.T) {
	dir := t.TempDir()
	_, err := Files(filepath.Join(dir, "none"), dir, filepath.Join(dir, "nor.yaml"))
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 3 {
		t.Fatalf("the answer is %v", err)
	}
	for _, p := range ps {
		if p.Code != codeUnreadable && p.Code != codeEmpty {
			t.Errorf("%v", p)
		}
	}
}

func TestLimitsOfASource(t *testing.T) {
	for name, text := range map[string]string{
		"large":   "# " + strings.Repeat("x", maxBytes),
		"control": "site: a\x00b\n",
		"nested":  "site: a\nclusters: " + strings.Repeat("{a: ", maxOpen+1),
		"dashes":  strings.Repeat("- ", maxOpen),
		"indents": strings.Repeat("? ", 100000),
	} {
		_, err := Parse(toys(), Set{}, Source{Name: name, Text: []byte(text)})
		var ps Problems
		if !errors.As(err, &ps) || ps[0].Code != codeUnreadable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestByteOrderMarkAndLineEndings(t *testing.T) {
	set, err := Parse(toys(), Set{}, Source{Name: "dos.yaml", Text: []byte("\ufeffsite: east\r\nclusters:\r\n  a:\r\n    queue: { brokers: [\"a:1\"] }\r\n...\r\n--- # next\r\nsite: west\r\nclusters: {}\r\n")})
	if err != nil {
		t.Fatal(render(err))
	}
	if len(set.Sites) != 2 {
		t.Errorf("read %v", set.Refs())
	}
}

func TestStarterIsValid(t *testing.T) {
	queue := toys().Kinds()[0]
	queue.Starter = workload.Starter{
		East: "a:\n  queue: { brokers: [\"a:1\"] }\n", West: "a:\n  queue:\n    brokers: [\"b:1\"]\n\n    # sasl: {}\n",
		Workload: "\nname: q\nkind: queue\narchitecture: active-passive\ncluster: a\nobjective: { rpo: 1s, rto: 1s }\nonFailure: stop\n# more\ntopics: [\"q\"]\n",
	}
	text := Init(queue)
	set, err := Parse(workload.NewRegistry(queue), Set{}, Source{Name: "init.yaml", Text: []byte(text)})
	if err != nil {
		t.Fatal(render(err))
	}
	if len(set.Sites) != 2 || len(set.Plans) != 1 {
		t.Errorf("it holds %v", set.Refs())
	}
	for _, want := range []string{"\n  a:\n    queue:\n      brokers: [\"b:1\"]\n\n      # sasl: {}\n---\n", "\nworkloads:\n  - name: q\n    kind: queue\n", "\n    # more\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"brokres", "brokers"}, {"Brokers", "brokers"}, {"broker", "brokers"}, {"tsl", "tls"}, {"topcs", "topics"}, {"x", ""}, {"password", ""}, {"", ""},
		{"top", "topics"}, {"topicsToMirror", "topics"}, {"to", ""}, {"saslPassword", ""},
	} {
		if got := nearest(c.word, []string{"brokers", "tls", "topics", "sasl"}); got != c.want {
			t.Errorf("nearest(%q) is %q, want %q", c.word, got, c.want)
		}
	}
}
