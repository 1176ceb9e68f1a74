package demo

import (
	"io"
	"log/slog"
	"time"

	"github.com/understudy-dr/understudy"
)

// Options say how the story is played. The zero value plays it on simulated servers, for nobody.
type Options struct {
	// Real plays on Apache Kafka servers instead, which `understudy-lab` starts.
	Real bool
	// Lab is the understudy-lab to run; when empty it is looked for beside this program, on the PATH and in the
	// checkout around the working directory.
	Lab string
	// LoadFor is how long the application writes before the primary is killed; zero means a moment that chance
	// chooses.
	LoadFor time.Duration
	// Rate is how many orders a second the application writes, 200 at least; zero means two thousand, as a busy shop's.
	Rate int
	// Audience is told the story; nil for none.
	Audience Audience
	// Log takes what the control plane has to say; nil for nothing.
	Log *slog.Logger
	// Errors takes what understudy-lab has to say; nil for nothing.
	Errors io.Writer
}

// Audience is told the story while it happens. Its methods are not called concurrently.
type Audience interface {
	// Begin opens a step of the story.
	Begin(Step)
	// Tell adds a line to the present step, or before the first one.
	Tell(line string)
	// Progress says how far the present step is.
	Progress(understudy.StepProgress)
}

// Step is one step of the story.
type Step struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	// Command is what a person would type to do the same for real; empty where the world acts.
	Command string `json:"command,omitempty"`
	// Operation is the operation that did it, if there was one.
	Operation understudy.OperationID `json:"operation,omitempty"`
	Seconds   float64                `json:"seconds"`
}

// nobody is the audience of a story that is told to no one.
type nobody struct{}

// Begin implements Audience.
func (nobody) Begin(Step) {}

// Tell implements Audience.
func (nobody) Tell(string) {}

// Progress implements Audience.
func (nobody) Progress(understudy.StepProgress) {}
