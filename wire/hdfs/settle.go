package hdfs

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// settling is how long it takes lately until DataNodes have told the NameNode of a block that was just written. It is safe for
// concurrent use.
type settling struct{ nanoseconds atomic.Int64 }

const (
	// settleMost bounds the wait. When it was too short, settleStep and a quarter of it are added; when it was long enough, settleShrink in
	// a thousand is left: so about one answer in thirty is no.
	settleMost   = 200 * time.Millisecond
	settleStep   = time.Millisecond
	settleShrink = 990
)

// wait is how long a block must have been closed before the NameNode is asked.
func (s *settling) wait() time.Duration { return time.Duration(s.nanoseconds.Load()) }

// learn takes the first answer, for a block that was closed for a while by then. Two that learn at once may lose one of both lessons, which
// matters to nobody.
func (s *settling) learn(yes bool, after time.Duration) {
	was := s.wait()
	if yes {
		s.nanoseconds.Store(int64(was) * settleShrink / 1000)
		return
	}
	was = max(was, after)
	s.nanoseconds.Store(int64(min(was+was/4+settleStep, settleMost)))
}

// complete tells the NameNode that all is written. It says no until the DataNodes have reported the last block, which takes a moment:
// the wait begins at a millisecond and doubles, where Hadoop's own client begins at 400. How long that moment is lately is known from
// the files before, and so long nothing is asked: the first answer is mostly yes then.
func (w *FileWriter) complete() error {
	request := proto.Message(nil).String(1, w.path).String(2, w.client.name)
	if w.previous != nil {
		request = request.Bytes(3, w.previous)
	}
	request = request.Uint(4, w.id)
	deadline := time.Now().Add(w.client.opts.CallTimeout)
	if w.previous != nil {
		if err := sleep(w.ctx, w.client.settling.wait()-time.Since(w.closed)); err != nil {
			return err
		}
	}
	after := time.Since(w.closed)
	for first, pause := true, max(time.Millisecond, w.client.settling.wait()/2); ; pause = min(2*pause, time.Second) {
		done, err := ask(w.ctx, w.client, "complete", w.path, request, readBool)
		if err == nil && first && w.previous != nil {
			w.client.settling.learn(done, after)
		}
		if err != nil || done {
			return err
		}
		first = false
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: the NameNode does not take the file as complete: too few DataNodes reported its last block", ErrTimeout)
		}
		if err := sleep(w.ctx, pause); err != nil {
			return err
		}
	}
}
