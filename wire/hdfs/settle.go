package hdfs

import (
	"sync/atomic"
	"time"
)

// settling is how long it takes lately until DataNodes have told the NameNode of a block that was just written. It is safe for
// concurrent use.
type settling struct{ nanoseconds atomic.Int64 }

const (
	// settleMost bounds the wait. When it was too short, settleStep and a quarter of it are added; when it was long enough, settleShrink in
	// a thousand is left: so about one answer in ten is no.
	settleMost   = 200 * time.Millisecond
	settleStep   = time.Millisecond
	settleShrink = 970
)

// wait is how long to wait before the NameNode is asked.
func (s *settling) wait() time.Duration { return time.Duration(s.nanoseconds.Load()) }

// learn takes the first answer. Two that learn at once may lose one of both lessons, which matters to nobody.
func (s *settling) learn(yes bool) {
	was := s.wait()
	if yes {
		s.nanoseconds.Store(int64(was) * settleShrink / 1000)
		return
	}
	s.nanoseconds.Store(int64(min(was+was/4+settleStep, settleMost)))
}
