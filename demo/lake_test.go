package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// trees makes the directories of both sites.
func trees(t *testing.T) lake {
	t.Helper()
	l := lake{dir: t.TempDir()}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	return l
}

// fill files that many invoices.
func fill(c *clerk, n int) {
	for range n {
		c.file()
	}
}

func TestInvoicesAreReadBack(t *testing.T) {
	l := trees(t)
	var c clerk
	fill(&c, 3) // he sits nowhere yet
	c.sit(l.tree(east))
	fill(&c, 2*perDay)
	c.sit("")
	fill(&c, 3)
	found, err := browse(l.tree(east))
	if err != nil || found.torn != 0 || len(found.whole) != 2*perDay || found.whole.of(c.book.since(0).acknowledged()) != 2*perDay {
		t.Fatalf("%+v, %v", found, err)
	}
}

// TestABrokenInvoiceIsTorn is the negative control of the count.
func TestABrokenInvoiceIsTorn(t *testing.T) {
	l := trees(t)
	var c clerk
	c.sit(l.tree(east))
	fill(&c, 3)
	file := filepath.Join(l.tree(east), "day-000", "invoice-1.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	for name, data := range map[string][]byte{file: text, file + unfinished: text, filepath.Join(l.tree(east), "README.txt"): nil} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := browse(l.tree(east))
	if err != nil || found.torn != 1 || found.whole[1] != 0 || len(found.whole) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestALostTreeTakesNothingAndComesBackAsItWas(t *testing.T) {
	l := trees(t)
	var c clerk
	c.sit(l.tree(east))
	fill(&c, perDay)
	if err := l.lose(east); err != nil {
		t.Fatal(err)
	}
	fill(&c, perDay+1)
	if left, err := os.ReadDir(l.dir); err != nil || len(left) != 2 {
		t.Fatalf("the clerk made what was lost anew: %v, %v", left, err)
	}
	if err := l.find(east); err != nil {
		t.Fatal(err)
	}
	found, err := browse(l.tree(east))
	if err != nil || len(found.whole) != perDay || len(c.book.since(0).acknowledged()) != perDay {
		t.Fatalf("%+v, %v, acknowledged %d", found, err, len(c.book.since(0).acknowledged()))
	}
}

func TestHooksStopTheClerkAndTellHimWhereToGoOn(t *testing.T) {
	l := trees(t)
	c := &clerk{}
	c.sit(l.tree(east))
	h := hooks{c, l}
	if !h.Has(pauseClerk) || !h.Has(moveClerk) || h.Has("flip-dns") {
		t.Fatal("it has other hooks than the plan's")
	}
	for _, step := range []struct {
		hook understudy.HookName
		desk string
	}{{pauseClerk, ""}, {moveClerk, l.tree(west)}} {
		if _, err := h.RunHook(t.Context(), step.hook, []string{"UNDERSTUDY_FROM=east", "UNDERSTUDY_TO=west"}); err != nil || c.desk != step.desk {
			t.Fatalf("after %s he sits at %q, %v", step.hook, c.desk, err)
		}
	}
	if _, err := h.RunHook(t.Context(), moveClerk, nil); err == nil {
		t.Fatal("it moved the clerk without being told where to")
	}
}

// TestAnotherOrderIsSeen is the negative control of the order that the story reports.
func TestAnotherOrderIsSeen(t *testing.T) {
	r := control.Report{
		Operation: control.Operation{Parts: []control.Part{{Workload: invoices}, {Workload: orders}}},
		Stages: []control.StageReport{
			{Name: understudy.StageFence, Steps: []control.StepReport{{Workload: invoices}, {Workload: orders}, {}}},
			{Name: understudy.StageHalt, Steps: []control.StepReport{{Workload: invoices}, {Workload: invoices}, {Workload: orders}}},
		},
	}
	if got, err := orderOf(r); err != nil || len(got) != 2 || got[0] != invoices {
		t.Fatalf("%v, %v", got, err)
	}
	r.Stages[1].Steps[1].Workload, r.Stages[1].Steps[2].Workload = orders, invoices
	if _, err := orderOf(r); err == nil {
		t.Fatal("invoices came after orders, and it was not seen")
	}
}
