package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

// TestFilesReference holds docs/files.md against the types that files fill, and reads its examples.
func TestFilesReference(t *testing.T) {
	const page, marker = "../../docs/files.md", "-run TestFilesReference writes it -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), marker)
	if !found {
		t.Fatalf("%s has no generated part", page)
	}
	want := head + marker + "\n" + spec.Reference(all.Registry())
	if os.Getenv("UNDERSTUDY_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s is not what the types say; UNDERSTUDY_UPDATE=1 go test ./cmd/understudy -run TestFilesReference writes it", page)
	}
	examples(t, head)
	for i, row := range strings.Split(want, "\n") {
		if strings.HasPrefix(row, "| `") && strings.HasSuffix(row, "|  |") {
			t.Errorf("line %d: a key without a word about it: %s", i+1, row)
		}
	}
}

// examples reads the page's sites and plans, and its configuration of serve, and checks one against the other.
func examples(t *testing.T, page string) {
	t.Helper()
	var serve string
	var files []string
	for _, block := range strings.Split(page, "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		switch {
		case strings.Contains(block, "plan: "):
			files = append(files, block)
		case strings.Contains(block, "data: "):
			serve = block
		}
	}
	cfg, err := spec.ParseServe(spec.Source{Name: "serve.yaml", Text: []byte(serve)})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, text := range files {
		set, err := spec.Parse(all.Registry(), spec.Set{}, spec.Source{Name: "example.yaml", Text: []byte(text)})
		if err != nil {
			var ps spec.Problems
			errors.As(err, &ps)
			t.Fatal(err, ps.Render())
		}
		if err := cfg.Check(set); err != nil {
			t.Error(err)
		}
		uses(set, shown)
	}
	for _, k := range all.Registry().Kinds() {
		var want []string
		for _, e := range k.EndpointKinds() {
			want = append(want, e.Key)
		}
		for _, o := range k.Offers {
			want = append(want, fmt.Sprintf("%s, %s", k.Name, o.Architecture))
		}
		for _, name := range want {
			if !shown[name] {
				t.Errorf("no example of the page shows %s", name)
			}
		}
	}
}

// uses notes the sorts of endpoints that a file has, and the architectures of its workloads.
func uses(set spec.Set, shown map[string]bool) {
	for _, s := range set.Sites {
		for _, c := range s.Clusters {
			for key := range c.Endpoints {
				shown[key] = true
			}
		}
	}
	for _, p := range set.Plans {
		for _, w := range p.Workloads {
			shown[fmt.Sprintf("%s, %s", w.Kind, w.Architecture)] = true
		}
	}
}

// TestStarterFiles shows that what init prints for each kind is valid as it stands, also with what it has in comments, one at a time.
func TestStarterFiles(t *testing.T) {
	for _, k := range all.Registry().Kinds() {
		t.Run(string(k.Name), func(t *testing.T) {
			text := spec.Init(k)
			starts(t, text)
			if !strings.Contains(text, "kind: "+string(k.Name)) {
				t.Error("it has no workload of the kind")
			}
			lines := strings.Split(text, "\n")
			for i, line := range lines {
				margin, key, ok := strings.Cut(line, "# ")
				if ok && strings.TrimSpace(margin) == "" && regexp.MustCompile(`^[a-z0-9A-Z]+: [^ ].*`).MatchString(key) && !strings.HasSuffix(key, ".") {
					starts(t, strings.Join(uncommented(lines, i, margin, key), "\n"))
				}
			}
		})
	}
}

// uncommented is a file with one of its comments in force: a store in the place of the one that is there, and a login in the place of a user.
func uncommented(lines []string, i int, margin, key string) []string {
	out := slices.Clone(lines)
	out[i] = margin + key
	name, _, _ := strings.Cut(key, ":")
	for at := i - 1; at >= 0 && out[at] != "---"; at-- {
		switch trimmed := strings.TrimSpace(out[at]); {
		case slices.Contains([]string{"s3", "blob", "adls", "local"}, name) && strings.HasPrefix(out[at], margin) && !strings.HasPrefix(trimmed, "#"),
			name == "kerberos" && strings.HasPrefix(trimmed, "user:"):
			out[at] = ""
		}
	}
	return out
}

func starts(t *testing.T, text string) {
	t.Helper()
	_, err := spec.Parse(all.Registry(), spec.Set{}, spec.Source{Name: "init.yaml", Text: []byte(text)})
	var ps spec.Problems
	if errors.As(err, &ps) {
		t.Error(ps.Render())
	} else if err != nil {
		t.Error(err)
	}
}

// TestKindsFitIntoFiles holds every kind's own keys against what files can hold.
func TestKindsFitIntoFiles(t *testing.T) {
	for _, fault := range spec.Audit(all.Registry()) {
		t.Error(fault)
	}
}
