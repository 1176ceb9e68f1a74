// Command summary reads the events of "go test -json" and says, in the end, what passed, failed and was skipped, and why.
// It runs no tests and knows none; its exit status is the verdict on what it read.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of "go test -json", as described by "go doc test2json".
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// key names a test in its package; the package itself has no test.
type key struct{ pkg, test string }

// count is what happened, in tests and subtests.
type count struct{ passed, failed, skipped int }

// summary collects the events of one or more runs.
type summary struct {
	out    io.Writer
	open   map[key]*strings.Builder
	per    map[string]*count
	total  count
	broken []string
	skips  []string
	fails  []string
}

func main() {
	strict := flag.Bool("strict", false, "fail when a test was skipped")
	flag.Parse()
	os.Exit(run(os.Stdin, os.Stdout, *strict))
}

// run reads all events and gives the exit status: 0 only when something ran and nothing failed or, where strict, was skipped.
func run(in io.Reader, out io.Writer, strict bool) int {
	s := &summary{out: out, open: map[key]*strings.Builder{}, per: map[string]*count{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		s.line(line)
		if err != nil {
			break
		}
	}
	s.close()
	switch {
	case s.total.failed > 0 || len(s.broken) > 0 || s.total.passed == 0:
		return 1
	case strict && s.total.skipped > 0:
		fmt.Fprintln(out, "a skipped test counts as a failure here")
		return 1
	}
	return 0
}

// line takes one line; what is no event is passed on.
func (s *summary) line(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.Action == "" {
		if strings.TrimSpace(line) != "" {
			fmt.Fprint(s.out, line)
		}
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "build-fail":
		s.broken = append(s.broken, e.ImportPath+" does not build")
	case "output":
		s.output(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
	}
}

// output keeps what a test printed until its outcome is known.
func (s *summary) output(e event) {
	k := key{e.Package, e.Test}
	if s.open[k] == nil {
		s.open[k] = &strings.Builder{}
	}
	s.open[k].WriteString(e.Output)
}

// endTest counts one test or subtest, and shows what it printed where that matters.
func (s *summary) endTest(e event) {
	k := key{e.Package, e.Test}
	text := ""
	if s.open[k] != nil {
		text = s.open[k].String()
	}
	delete(s.open, k)
	if s.per[e.Package] == nil {
		s.per[e.Package] = &count{}
	}
	for _, c := range []*count{s.per[e.Package], &s.total} {
		c.add(e.Action)
	}
	switch {
	case e.Action == "fail":
		s.fails = append(s.fails, short(e.Package)+" "+e.Test)
		fmt.Fprint(s.out, text)
	case e.Action == "skip":
		s.skips = append(s.skips, short(e.Package)+" "+e.Test+": "+reason(text))
	case e.Elapsed >= 10 && !strings.Contains(e.Test, "/"):
		fmt.Fprintf(s.out, "     %s %s %.0fs\n", short(e.Package), e.Test, e.Elapsed)
	}
}

// add counts one outcome.
func (c *count) add(action string) {
	switch action {
	case "pass":
		c.passed++
	case "fail":
		c.failed++
	case "skip":
		c.skipped++
	}
}

// endPackage prints a line for the package; where it failed, also what it printed outside its tests, and what its unfinished tests printed.
func (s *summary) endPackage(e event) {
	unfinished := s.take(e.Package)
	c := s.per[e.Package]
	if c == nil {
		c = &count{}
	}
	if e.Action == "fail" {
		fmt.Fprint(s.out, unfinished)
		if c.failed == 0 {
			s.broken = append(s.broken, short(e.Package)+" failed outside its tests")
		}
	}
	if e.Action != "skip" {
		fmt.Fprintf(s.out, "%-4s %-40s %6.1fs  %d passed, %d failed, %d skipped\n", e.Action, short(e.Package), e.Elapsed, c.passed, c.failed, c.skipped)
	}
}

// take removes and gives all that is still open of a package.
func (s *summary) take(pkg string) string {
	var left []string
	for k, text := range s.open {
		if k.pkg == pkg {
			left = append(left, text.String())
			delete(s.open, k)
		}
	}
	slices.Sort(left)
	return strings.Join(left, "")
}

// close prints the lists and, alone on the last line, the counts.
func (s *summary) close() {
	for k, text := range s.open {
		s.broken = append(s.broken, strings.TrimSpace(short(k.pkg)+" "+k.test)+" did not end")
		fmt.Fprint(s.out, text.String())
	}
	if s.total == (count{}) {
		s.broken = append(s.broken, "no test ran")
	}
	list(s.out, "skipped:", s.skips)
	list(s.out, "failed:", append(s.fails, s.broken...))
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.total.passed, s.total.failed+len(s.broken), s.total.skipped)
}

// list prints a titled list in order, or nothing.
func list(out io.Writer, title string, items []string) {
	if len(items) == 0 {
		return
	}
	slices.Sort(items)
	fmt.Fprintf(out, "\n%s\n", title)
	for _, item := range items {
		fmt.Fprintf(out, "  %s\n", item)
	}
}

// short gives a package path without the module.
func short(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/understudy-dr/")
}

// reason gives the line with which a test said why it skips.
func reason(text string) string {
	said := "no reason given"
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = line
		}
	}
	return said
}
