package demo

import (
	"fmt"
	"io"

	"github.com/understudy-dr/understudy"
)

// Prose tells the story as text. The first failure to write is kept in Err, and ends the telling.
type Prose struct {
	W   io.Writer
	Err error
}

var _ Audience = (*Prose)(nil)

// Begin writes the title of a step, and the command below it.
func (p *Prose) Begin(s Step) {
	switch {
	case s.Number == 0:
		p.line("\n%s", s.Title)
	default:
		p.line("\n%d. %s", s.Number, s.Title)
	}
	if s.Command != "" {
		p.line("   $ %s", s.Command)
	}
}

// Tell writes a line.
func (p *Prose) Tell(line string) { p.line("   %s", line) }

// Progress writes nothing: a text has none.
func (*Prose) Progress(understudy.StepProgress) {}

func (p *Prose) line(format string, v ...any) {
	if p.Err == nil {
		_, p.Err = fmt.Fprintf(p.W, format+"\n", v...)
	}
}
