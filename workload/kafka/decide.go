package kafka

import (
	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Decide turns one stage of an operation and what was seen into steps.
func (w *Workload) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	return nil, bug("kafka.decide", "not built yet")
}
