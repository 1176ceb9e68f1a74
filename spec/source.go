package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a source. They keep a hostile file from exhausting the control plane; no plan comes near them.
const (
	maxBytes = 1 << 20
	maxDepth = 64
	// maxOpen bounds brackets and indicators before the YAML parser sees them, because it recurses.
	maxOpen = 512
)

// Source is one text to read, with the name under which its problems are reported.
type Source struct {
	Name string
	Text []byte
}

// Files reads files and directory trees as sources. Of a directory, every *.yaml and *.yml below it is read, in the
// order of their paths; hidden files and directories are left out. "-" is standard input.
func Files(paths ...string) ([]Source, error) {
	var all []Source
	var problems Problems
	for _, p := range paths {
		got, err := walk(p)
		if err != nil {
			problems = append(problems, unreadable(p, err))
			continue
		}
		if len(got) == 0 {
			problems = append(problems, &Problem{Code: codeEmpty, File: p, Summary: "no *.yaml file in this directory",
				Fix: "name a directory with site and plan files; `understudy init` writes a first one"})
		}
		all = append(all, got...)
	}
	return all, problems.sorted()
}

func unreadable(path string, err error) *Problem {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		path, err = pe.Path, pe.Err
	}
	return &Problem{Code: codeUnreadable, File: path, Summary: "the file cannot be read: " + err.Error(), Fix: "give a file, or a folder of files, that this user may read"}
}

func walk(root string) ([]Source, error) {
	if root == "-" {
		return stdin()
	}
	var all []Source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := path != root && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		ext := filepath.Ext(path)
		if path != root && (hidden || ext != ".yaml" && ext != ".yml") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all = append(all, Source{Name: path, Text: text})
		return nil
	})
	return all, err
}

// file is a source split into lines and documents.
type file struct {
	name  string
	lines []string
}

// part is one document of a file, parsed as YAML.
type part struct {
	file *file
	// skip is how many lines of the file stand before the document.
	skip int
	root *yaml.Node
}

// split checks the bytes of a source and parses its documents one by one: a broken document does not hide the
// others, and none is lost between two markers.
func split(s Source, problems *Problems) []part {
	f := &file{name: s.Name}
	if p := admissible(s); p != nil {
		*problems = append(*problems, p)
		return nil
	}
	text := strings.TrimPrefix(string(s.Text), "\ufeff")
	f.lines = strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	var parts []part
	from, crowded := 0, false
	for i := 0; i <= len(f.lines); i++ {
		if i < len(f.lines) && !isMarker(f.lines[i]) {
			continue
		}
		if !crowded {
			if n := f.parse(from, i, problems); n != nil {
				parts = append(parts, part{file: f, skip: from, root: n})
			}
		}
		from = i + 1
		crowded = i < len(f.lines) && f.crowded(i, problems)
	}
	return parts
}

func isMarker(line string) bool {
	for _, m := range []string{"---", "..."} {
		if rest, ok := strings.CutPrefix(line, m); ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t') {
			return true
		}
	}
	return false
}

// crowded reports a marker with something behind it; what follows is then not read.
func (f *file) crowded(i int, problems *Problems) bool {
	rest := strings.TrimSpace(f.lines[i][3:])
	if rest == "" || rest[0] == '#' {
		return false
	}
	problems.add(&Problem{Code: codeSyntax, File: f.name, Line: i + 1, Column: 1, Width: 3, Source: masked(f.lines[i]),
		Summary: "a document marker must stand alone on its line", Fix: "begin the document on the next line"})
	return true
}

func (f *file) parse(from, to int, problems *Problems) (root *yaml.Node) {
	text := strings.Join(f.lines[from:to], "\n") + "\n"
	defer func() {
		// The YAML library panics on some malformed texts; to the user that is a syntax error like any other.
		if r := recover(); r != nil {
			root = nil
			*problems = append(*problems, &Problem{Code: codeSyntax, File: f.name, Line: from + 1, Column: 1, Width: 1,
				Source: f.line(from + 1), Summary: "this document is not YAML", Why: "the YAML reader gave up on it"})
		}
	}()
	var tree yaml.Node
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		*problems = append(*problems, f.syntax(from, to, err))
		return nil
	}
	if len(tree.Content) == 0 || isNull(tree.Content[0]) {
		return nil
	}
	return tree.Content[0]
}

// syntax gives the YAML library's complaint with its line, where it names one.
func (f *file) syntax(from, to int, err error) *Problem {
	why := strings.TrimPrefix(firstLine(err.Error()), "yaml: ")
	line := from + 1
	var n int
	if _, e := fmt.Sscanf(why, "line %d:", &n); e == nil {
		line = from + n
		_, why, _ = strings.Cut(why, ": ")
	}
	line = f.blame(line, to, why)
	line = min(max(line, from+1), max(to, from+1))
	p := &Problem{Code: codeSyntax, File: f.name, Line: line, Column: 1, Summary: "not YAML: " + why, Source: masked(f.line(line))}
	body := strings.TrimLeft(p.Source, " ")
	p.Column = utf8.RuneCountInString(p.Source) - utf8.RuneCountInString(body) + 1
	p.Width = max(utf8.RuneCountInString(strings.TrimSpace(body)), 1)
	p.Fix = syntaxFix(why)
	return p
}

// blame moves the line to where the mistake stands: the library counts some of its complaints from 0.
func (f *file) blame(line, to int, why string) int {
	if strings.Contains(why, "tab character") {
		for n := line; n <= to; n++ {
			if strings.HasPrefix(strings.TrimLeft(f.line(n), " "), "\t") {
				return n
			}
		}
	}
	for _, counted := range []string{"node content", "'-' indicator", "key", "',' or ']'", "',' or '}'"} {
		if why == "did not find expected "+counted {
			return line + 1
		}
	}
	return line
}

func syntaxFix(why string) string {
	switch {
	case strings.Contains(why, "tab character"):
		return "indent with spaces; YAML does not allow tabs"
	case strings.Contains(why, "',' or"):
		return "close the bracket that opens here, and separate its items with commas"
	case strings.Contains(why, "mapping values are not allowed"):
		return "put a value that contains `: ` in quotes, and check the indentation"
	case strings.Contains(why, "expected key"), strings.Contains(why, "'-' indicator"):
		return "align the keys or items that belong together, here and just below"
	case strings.Contains(why, "cannot start any token"):
		return "put the value in quotes"
	}
	return ""
}

func (f *file) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return f.lines[n-1]
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// admissible refuses texts that are no text, and those that would exhaust the YAML parser.
func admissible(s Source) *Problem {
	refuse := func(line int, text string) *Problem {
		return &Problem{Code: codeUnreadable, File: s.Name, Summary: fmt.Sprintf("line %d: %s", line, text), Fix: "name a YAML file that a person can read"}
	}
	if len(s.Text) > maxBytes {
		return &Problem{Code: codeUnreadable, File: s.Name, Summary: fmt.Sprintf("the file has more than %d bytes", maxBytes)}
	}
	open := 0
	for i, line := range bytes.Split(s.Text, []byte("\n")) {
		if !utf8.Valid(line) {
			return refuse(i+1, "the file is not UTF-8 text")
		}
		if bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }) {
			return refuse(i+1, "the file has a control character here")
		}
		lead := len(line) - len(bytes.TrimLeft(line, "-?:!&*>|' \t\""))
		open += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		open = max(0, open-bytes.Count(line, []byte("]"))-bytes.Count(line, []byte("}")))
		if open > maxOpen || lead > maxOpen {
			return refuse(i+1, "the file is nested too deeply")
		}
	}
	return nil
}

func stdin() ([]Source, error) {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, maxBytes+1))
	return []Source{{Name: "stdin", Text: text}}, err
}
