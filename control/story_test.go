package control_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// Each story in testdata/stories is the transcript of one operation on the toy: stages, steps, roles and notes in
// the order of the journal. They read as what an operator would be told.
func TestStories(t *testing.T) {
	t.Parallel()
	if err := os.MkdirAll("testdata/stories", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range sweptStories() {
		t.Run(s.name, func(t *testing.T) {
			var told string
			controltest.Bubble(t, func(t *testing.T) { told = s.tell(t) })
			golden(t, filepath.Join("testdata/stories", strings.ReplaceAll(s.name, " ", "-")+".txt"), told)
		})
	}
}

// tell runs the story once, unbroken, and writes down its operation.
func (s sweptStory) tell(t *testing.T) string {
	e := s.estate(t)
	p := controltest.Start(t, e.Setup)
	p.Apply()
	e.Prepare(p)
	if err := e.Order(p); err != nil {
		t.Fatal(err)
	}
	op, _ := e.Find(p)
	for s.order != nil && s.verb == "" && !op.Aborting {
		<-time.After(10 * time.Millisecond)
		op, _ = e.Find(p)
	}
	op = p.Rest(op.ID)
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", s.name)
	err := p.Watch(t.Context(), op.ID, 0, func(ev control.Event) error {
		line(&b, op, ev)
		if ev.Seq == op.Seq {
			return errTold
		}
		return nil
	})
	if err != nil && err != errTold {
		t.Fatal(err)
	}
	return b.String()
}

var errTold = fmt.Errorf("the story is told")

// line writes one entry without names and times that differ from run to run.
func line(b *strings.Builder, op control.Operation, e control.Event) {
	subject := string(e.Workload)
	if subject != "" {
		subject += ": "
	}
	text := masked(op, e.Text)
	switch e.Kind {
	case control.EventBegan:
		fmt.Fprintf(b, "%s begins: %s\n", e.By, text)
	case control.EventStage:
		fmt.Fprintf(b, "\n%s\n", strings.ToUpper(string(e.Stage)))
	case control.EventDecided:
		if len(e.Steps) == 0 {
			fmt.Fprintf(b, "  %snothing to do\n", subject)
		}
	case control.EventIntent:
		before := ""
		if len(e.Step.Before) > 0 && string(e.Step.Before) != "null" {
			before = ", before it was " + stampless(string(e.Step.Before))
		}
		fmt.Fprintf(b, "  %s%s on %s (%s)%s\n", subject, e.Step.Summary, e.Step.Site, e.Step.Class, before)
	case control.EventResult:
		for _, p := range e.Receipt.Proofs {
			fmt.Fprintf(b, "    proved: %s of %s %s under epoch %d\n", p.Kind, p.Site, p.Level, p.Epoch)
		}
		for _, l := range e.Receipt.Ledger {
			fmt.Fprintf(b, "    only %s has %d records of shard %s, from %d to %d\n", l.Site, l.Records, l.Shard, l.First, l.Last)
		}
	case control.EventFailed:
		fmt.Fprintf(b, "    failed: %v\n", e.Error)
	case control.EventRole:
		fmt.Fprintf(b, "  %srole: %s\n", subject, text)
	case control.EventState:
		if e.Seq > 2 {
			fmt.Fprintf(b, "  → %s %s\n", e.State, text)
		}
	case control.EventNote:
		fmt.Fprintf(b, "  %s%s\n", subject, text)
	default: // the others need nothing here
	}
}

// masked leaves out what differs from run to run.
func masked(op control.Operation, text string) string {
	for _, id := range []understudy.OperationID{op.ID, op.Undoes, op.Inherits} {
		if id != "" {
			text = strings.ReplaceAll(text, string(id), "OP")
		}
	}
	text = regexp.MustCompile(`the set op-\w+ was`).ReplaceAllString(text, "the set SET was")
	return regexp.MustCompile(`at most \S+ of`).ReplaceAllString(text, "at most SOME TIME of")
}

// stampless leaves the control plane's random name out of a before-image.
func stampless(s string) string {
	const key = `"controlPlane":"`
	i := strings.Index(s, key)
	if i < 0 {
		return s
	}
	rest := s[i+len(key):]
	return s[:i+len(key)] + "CP" + rest[strings.Index(rest, `"`):]
}

// A kind is one folder and one line in the list of kinds: here the line is the second argument.
func TestAddingAKindIsOneLine(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		world := workloadtest.NewWorld("east", "west")
		pebble := workloadtest.Toy(world)
		pebble.Name = "pebble"
		s := newScene(t, func(c *controltest.Setup) {
			c.Registry = registryOf(workloadtest.Toy(workloadtest.NewWorld("east", "west")), pebble)
			c.Plan.Workloads[0].Kind = "pebble"
		})
		s.do(understudy.Protect, control.Committed)
		if err := world.Write("east", "a", "v"); err != nil {
			t.Fatal(err)
		}
		s.do(understudy.Switchover, control.CommitWindow)
		if !world.Open("west") || len(world.IDs("west")) != 1 {
			t.Fatal(world.Fingerprint())
		}
	})
}
