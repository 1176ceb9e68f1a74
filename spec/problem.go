package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
)

// Problem is one thing that is wrong in a file: where, what, why and what to write instead.
type Problem struct {
	Code understudy.Code `json:"code"`
	// Note says that it is told and refuses nothing.
	Note bool `json:"note,omitempty"`
	// File is the name of the source as it was given.
	File string `json:"file"`
	// Line and Column count from 1, in characters; both are 0 when the problem is about the file as a whole.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Width is how many characters the caret underlines.
	Width int `json:"width,omitempty"`
	// Path is the place within the document, such as "workloads[0].objective.rpo".
	Path string `json:"path,omitempty"`
	// Document is what the file has there, where the problem is one of names that serve does not know.
	Document Ref `json:"document,omitzero"`
	// Summary is one line.
	Summary string `json:"summary"`
	Why     string `json:"why,omitempty"`
	Fix     string `json:"fix,omitempty"`
	// Suggestion is the text to write instead, where one is likely.
	Suggestion string `json:"suggestion,omitempty"`
	// Source is the line of the file; secrets in it are masked.
	Source string `json:"source,omitempty"`
}

// Error gives the place and the summary on one line.
func (p *Problem) Error() string {
	return fmt.Sprintf("%s: %s: %s", p.Code, p.place(), p.Summary)
}

// Unwrap gives the problem as the product's error type.
func (p *Problem) Unwrap() error {
	return &understudy.Error{
		Code: p.Code, Kind: understudy.KindInvalid, Op: "spec.parse",
		Summary: p.place() + ": " + p.Summary, Why: p.Why, Fix: p.Fix,
	}
}

func (p *Problem) noun() string {
	if p.Note {
		return "note"
	}
	return "error"
}

func (p *Problem) place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Render gives the problem for people, on several lines, with the line of the file and a caret.
func (p *Problem) Render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s[%s]: %s\n", p.noun(), p.Code, p.Summary)
	fmt.Fprintf(&b, "  --> %s\n", p.place())
	if p.Line > 0 {
		p.snippet(&b)
	}
	if p.Why != "" {
		fmt.Fprintf(&b, "  why: %s\n", p.Why)
	}
	if p.Fix != "" {
		fmt.Fprintf(&b, "  fix: %s\n", p.Fix)
	}
	fmt.Fprintf(&b, "  more: understudy explain %s\n", p.Code)
	return b.String()
}

func (p *Problem) snippet(b *strings.Builder) {
	number := fmt.Sprint(p.Line)
	gutter := strings.Repeat(" ", len(number))
	line := []rune(p.Source)
	lead := line[:min(max(p.Column-1, 0), len(line))]
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(lead))
	fmt.Fprintf(b, " %s |\n", gutter)
	fmt.Fprintf(b, " %s | %s\n", number, p.Source)
	fmt.Fprintf(b, " %s | %s%s", gutter, pad, strings.Repeat("^", max(p.Width, 1)))
	if p.Suggestion != "" {
		quoted := `"` + p.Suggestion + `"`
		if strings.Contains(p.Suggestion, `"`) {
			quoted = "`" + p.Suggestion + "`"
		}
		fmt.Fprintf(b, " did you mean %s?", quoted)
	}
	b.WriteString("\n")
}

// Problems is everything that is wrong in a set of files, ordered by file, line and column. It is an error whose
// kind is invalid.
type Problems []*Problem

// Error gives every problem on a line of its own.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems as errors.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Render gives all problems for people, with an empty line between them and a count at the end. They are all notes, or
// none is.
func (ps Problems) Render() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.Render())
		b.WriteString("\n")
	}
	files := map[string]bool{}
	for _, p := range ps {
		files[p.File] = true
	}
	noun := "error"
	if len(ps) > 0 {
		noun = ps[0].noun()
	}
	fmt.Fprintf(&b, "%s in %s\n", count(len(ps), noun), count(len(files), "file"))
	return b.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sorted orders the problems and gives them as an error; nil when there are none.
func (ps Problems) sorted() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Summary, b.Summary))
	})
	// Two workloads on one cluster find the same fault of its endpoint.
	return slices.CompactFunc(ps, func(a, b *Problem) bool { return *a == *b })
}
