package main

import (
	"context"
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
)

// tell writes what happens in an operation to stderr, a line a stage and step; on a terminal the running
// step's progress is drawn below.
func (a *app) tell(ctx context.Context, cl *api.Client, id understudy.OperationID) error {
	t := &teller{say: a.say}
	if a.terminal() {
		t.bars = mpb.NewWithContext(ctx, mpb.WithOutput(a.errs), mpb.WithRefreshRate(150*time.Millisecond))
		t.say = func(format string, v ...any) { _, _ = fmt.Fprintf(t.bars, format+"\n", v...) }
		defer t.bars.Shutdown()
		defer t.drop()
	}
	return cl.Watch(ctx, id, 0, func(e control.Event) error {
		t.event(e)
		return nil
	})
}

// teller keeps the bar of the running step.
type teller struct {
	say  func(string, ...any)
	bars *mpb.Progress
	bar  *mpb.Bar
	text string
}

func (t *teller) event(e control.Event) {
	switch e.Kind {
	case control.EventProgress:
		t.progress(e.Progress)
	case control.EventStage:
		t.drop()
		t.say("  %s", e.Stage)
	case control.EventResult:
		t.drop()
		if e.Receipt != nil {
			t.say("    %s  %s", e.Workload, e.Receipt.Summary)
		}
	case control.EventFailed:
		t.drop()
		if e.Error != nil {
			t.say("    %s  attempt %d failed: %s", e.Workload, e.Attempt, oneLine(e.Error))
		}
	case control.EventSkipped, control.EventNote:
		t.say("    %s", e.Text)
	case control.EventRole:
		if e.Role != nil {
			t.say("    %s  role: %s", e.Workload, e.Role)
		}
	case control.EventState:
		t.say("  → %s", e.State)
	case control.EventBegan, control.EventDecided, control.EventIntent:
	}
}

func (t *teller) progress(p *understudy.StepProgress) {
	if t.bars == nil || p == nil {
		return
	}
	if t.bar == nil {
		t.bar = t.bars.AddBar(p.Total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return "    " + t.text + " " })),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d")))
	}
	t.text = p.Text
	t.bar.SetTotal(p.Total, false)
	t.bar.SetCurrent(p.Done)
}

func (t *teller) drop() {
	if t.bar != nil {
		t.bar.Abort(true)
		t.bar = nil
	}
}
