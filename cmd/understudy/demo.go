package main

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var real bool
	c := &cobra.Command{
		Use: "demo", Short: "The whole story on this machine, in seconds",
		Long: `Tell the whole story on this machine: two regions with a Kafka cluster and a directory tree each, a control plane
between them, and a shop that remembers what was acknowledged and what was written. The first region is lost in the
middle of a write, the second one takes over by one plan, first the tree and then the topics, the old primary comes
back and is fenced, what only it had is saved, and a switchover brings everything home.

The Kafka servers are simulated in this process, and the trees are temporary directories; all else is what runs in
production. Nothing is left behind, and no running understudy is needed. With --real the same happens on Apache Kafka
servers, which understudy-lab starts; the trees are directories then too.

The exit status is 1 when a promise was not kept: an acknowledged record or a written file lost beyond the bound that
was stated before, or lost by the switchover, a record duplicated, a file torn, or sites that do not match.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), real) },
	}
	c.Flags().BoolVar(&real, "real", false, "on Apache Kafka servers; needs understudy-lab, a JDK and, the first time, Maven")
	return c
}

func (a *app) demo(ctx context.Context, real bool) error {
	told := io.Discard
	if a.output == "table" {
		told = a.out
	}
	teller := &storyteller{prose: demo.Prose{W: told}, app: a, ctx: ctx}
	result, err := demo.Play(ctx, demo.Options{Real: real, Audience: teller})
	teller.drop()
	if len(result.Steps) == 0 || result.Seconds == 0 {
		return err
	}
	if werr := a.write(result, func(io.Writer) error { return teller.prose.Err }); werr != nil {
		return werr
	}
	return err
}

// storyteller writes the story as text, and on a terminal draws how far the present step is.
type storyteller struct {
	prose demo.Prose
	app   *app
	// ctx ends the drawing.
	ctx  context.Context
	bars *mpb.Progress
	bar  *mpb.Bar
	// text is read by the drawing.
	text atomic.Pointer[string]
}

var _ demo.Audience = (*storyteller)(nil)

// Begin implements demo.Audience.
func (t *storyteller) Begin(s demo.Step) {
	t.drop()
	t.prose.Begin(s)
}

// Tell implements demo.Audience.
func (t *storyteller) Tell(line string) {
	t.drop()
	t.prose.Tell(line)
}

// Progress implements demo.Audience.
func (t *storyteller) Progress(p understudy.StepProgress) {
	if !t.app.terminal() {
		return
	}
	t.text.Store(&p.Text)
	if t.bar == nil {
		t.bars = mpb.NewWithContext(t.ctx, mpb.WithOutput(t.app.errs), mpb.WithWidth(40))
		t.bar = t.bars.AddBar(p.Total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return "   " + *t.text.Load() + " " })))
	}
	t.bar.SetTotal(p.Total, false)
	t.bar.SetCurrent(p.Done)
}

// drop removes the bar, so that lines can be written where it stood.
func (t *storyteller) drop() {
	if t.bar == nil {
		return
	}
	t.bar.Abort(true)
	t.bars.Wait()
	t.bar, t.bars = nil, nil
}
