package mirror

import (
	"sync"
	"time"
)

// pollsKept bounds the remembered polls of one partition: at four a second, two minutes of backlog in full
// detail, and longer ones coarser.
const pollsKept = 512

// poll is one answered question to the source: where it ended, and when that was asked.
type poll struct {
	sent time.Time
	end  int64
}

// tracker knows how far one partition is, and up to which moment it is safe.
type tracker struct {
	mu    sync.Mutex
	polls []poll
	safe  time.Time
	last  poll
	start int64 // the source's log start

	acked  int64 // the target's end, durable
	sent   int64 // what was sent at most
	known  bool  // acked was read
	caught bool  // the first full copy is done
}

// polled notes an answer of the source.
func (t *tracker) polled(sent time.Time, end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = poll{sent, end}
	if len(t.polls) >= pollsKept {
		// Every other one goes: what is left is right, only later.
		kept := t.polls[:0]
		for i := 1; i < len(t.polls); i += 2 {
			kept = append(kept, t.polls[i])
		}
		t.polls = kept
	}
	t.polls = append(t.polls, poll{sent, end})
	t.advance()
}

// hold notes the offset up to which the target has everything, durably.
func (t *tracker) hold(end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked, t.known = end, true
	t.sent = max(t.sent, end)
	t.advance()
}

// align notes where the target was read to end.
func (t *tracker) align(end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked, t.known = end, true
	t.sent = max(t.sent, end) // what was sent before may still arrive
	t.advance()
}

// sending notes the highest end that what was sent can lead to.
func (t *tracker) sending(end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = max(t.sent, end)
}

// advance moves the safe moment to the latest poll whose end the target holds.
func (t *tracker) advance() {
	if !t.known {
		return
	}
	n := 0
	for n < len(t.polls) && t.polls[n].end <= t.acked {
		n++
	}
	if n == 0 {
		return
	}
	t.safe, t.caught = t.polls[n-1].sent, true
	t.polls = append(t.polls[:0], t.polls[n:]...)
}

// state is a copy of what the tracker knows.
type state struct {
	safe   time.Time
	last   poll
	start  int64
	acked  int64
	sent   int64
	known  bool
	caught bool
}

func (t *tracker) state() state {
	t.mu.Lock()
	defer t.mu.Unlock()
	return state{t.safe, t.last, t.start, t.acked, t.sent, t.known, t.caught}
}

func (t *tracker) trimmed(start int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = max(t.start, start)
}
