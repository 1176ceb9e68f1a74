package line

import "time"

// Limits say when a connection counts as lost.
type Limits struct {
	// Open is how long it may take to open one. Brief takes its place while the way is doubted: after a connection was found silent, or could not be
	// opened in time, until one is opened, or for twice the silence.
	Open, Brief time.Duration
	// Silence is how long no byte may move while a request is being sent, or the rest of an answer that has begun is read.
	Silence time.Duration
	// Answer is how long it may take until the head of an answer is there, once the request was sent.
	Answer time.Duration
}

// Usual are the limits of all stores. What a store says nothing for is its own affair: a copy, a completion, a long page of a list, or a body that
// something on the way has taken and is still sending on. So an answer may take long to begin; where the way swallows everything meanwhile, the
// system finds it within the silence, as its probes are not acknowledged.
func Usual() Limits {
	return Limits{Open: 30 * time.Second, Brief: 10 * time.Second, Silence: 2 * time.Minute, Answer: 10 * time.Minute}
}
