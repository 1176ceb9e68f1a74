package spec

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-dr/understudy"
)

// place is where something stands in a file: line and column from 1, in characters.
type place struct{ line, column, width int }

// placeOf gives the place of a node: of a block mapping its first key, of everything else its first character.
func (p part) placeOf(n *yaml.Node) place {
	at := place{line: p.skip + max(n.Line, 1), column: max(n.Column, 1), width: 1}
	line := []rune(p.file.line(at.line))
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
		n = n.Content[0]
	}
	if at.column > len(line) {
		return at
	}
	rest := line[at.column-1:]
	if n.Anchor != "" || n.Kind == yaml.AliasNode || n.Style&yaml.TaggedStyle != 0 {
		at.width = len([]rune(firstWord(string(rest))))
		return at
	}
	if n.Kind != yaml.ScalarNode {
		return at
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		at.width = closing(rest)
		return at
	}
	at.width = min(max(utf8.RuneCountInString(firstLine(n.Value)), 1), len(rest))
	return at
}

// closing counts the characters up to the quote that ends a quoted text, or to the end of the line.
func closing(line []rune) int {
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && line[0] == '"':
			i++
		case line[i] == line[0]:
			return i + 1
		}
	}
	return len(line)
}

// reader fills typed values from one document and collects what is wrong.
type reader struct {
	part
	problems *Problems
	// values and keys remember where each path stands, for the checks that follow.
	values, keys map[string]place
	// bad are paths that already have a problem; later checks stay silent about them.
	bad map[string]bool
	// given are keys that need not be there, because the caller has them.
	given map[string]bool
}

func newReader(p part, problems *Problems) *reader {
	return &reader{part: p, problems: problems, values: map[string]place{}, keys: map[string]place{}, bad: map[string]bool{}, given: map[string]bool{}}
}

// at reports a problem at a place of this document.
func (r *reader) at(at place, path string, p Problem) {
	p.File, p.Path = r.file.name, path
	p.Line = min(at.line, len(r.file.lines))
	p.Source = masked(r.file.line(p.Line))
	chars := utf8.RuneCountInString(p.Source)
	p.Column = min(at.column, chars+1)
	p.Width = min(max(at.width, 1), max(chars-p.Column+1, 1))
	r.bad[path] = true
	r.problems.add(&p)
}

// on reports a problem at the value of a path, or at its nearest parent that stands in the file.
func (r *reader) on(path string, p Problem) { r.at(r.find(path), path, p) }

// onKey reports a problem at the key of a path.
func (r *reader) onKey(path string, p Problem) {
	at, ok := r.keys[path]
	if !ok {
		at = r.find(path)
	}
	r.at(at, path, p)
}

func (r *reader) find(path string) place {
	for {
		if at, ok := r.values[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	if at, ok := r.values[""]; ok {
		return at
	}
	return place{line: r.skip + 1, column: 1, width: 1}
}

// fine says whether the path, its parents and its children have no problem so far.
func (r *reader) fine(path string) bool {
	for bad := range r.bad {
		if bad == path || within(bad, path) || within(path, bad) && bad != "" {
			return false
		}
	}
	return true
}

// within says whether the path lies below the parent.
func within(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// secret reports a value that must not stand in a file, and masks it in the line that is shown.
func (r *reader) secret(at place, path, why string) {
	r.at(at, path, Problem{Code: codeSecret, Summary: path + " holds a secret itself, not the name of one", Why: why,
		Fix: "put the secret where `serve` can read it, name it under `secrets:` in serve's configuration, write that name here, and change the secret: it has been in a file"})
	r.file.hide(at.line, at.column-1, *r.problems)
}

// hide masks the rest of a line from a column on, in all that is reported about it before and after.
func (f *file) hide(line, from int, problems Problems) {
	chars := []rune(f.line(line))
	if from >= len(chars) {
		return
	}
	f.lines[line-1] = string(chars[:from]) + mask
	for _, p := range problems {
		if p.File == f.name && p.Line == line {
			p.Source = f.lines[line-1]
			p.Column = min(p.Column, from+1)
			p.Width = min(p.Width, from+len(mask)-p.Column+1)
			if p.Column == from+1 {
				p.Width = len(mask)
			}
		}
	}
}

// mask stands where a secret stood.
const mask = "****"

// masked hides what follows a key that sounds like a secret, also in lines that are not YAML.
func masked(line string) string {
	return regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret_?key|private_?key|access_?key|jaas[a-z._]*)["']?\s*[:=]\s*)[^\s*].*$`).ReplaceAllString(line, "${1}"+mask)
}

func firstWord(s string) string {
	s, _, _ = strings.Cut(s, " ")
	return s
}

func (ps *Problems) add(p *Problem) { *ps = append(*ps, p) }

// join makes the path of a key below a parent.
func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// NameProblem says what is wrong with a name; empty when nothing is.
func NameProblem(s string) string {
	switch {
	case s == "":
		return "a name must not be empty"
	case len(s) > 63:
		return "a name has at most 63 characters"
	case strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "":
		return "a name has lower-case letters, digits, '-', '_' and '.' only"
	case strings.ContainsRune("-_.", rune(s[0])):
		return "a name begins with a letter or a digit"
	}
	return ""
}

// isName lists the types whose values are names.
func isName(v any) bool {
	switch v.(type) {
	case understudy.Site, understudy.PlanName, understudy.WorkloadName, understudy.ClusterName, understudy.HookName,
		understudy.ProvisionerName:
		return true
	}
	return false
}
