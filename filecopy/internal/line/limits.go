package line

import (
	"context"
	"math"
	"time"
)

// Limits say when a connection counts as lost.
type Limits struct {
	// Open is how long it may take to open one.
	Open time.Duration
	// Silence is how long no byte may move, in neither direction, while a request is being sent, or its answer waited for or read.
	Silence time.Duration
	// Brief takes the place of both while the store is doubted: after one of them was over, until a byte comes from the store, or for twice the silence.
	Brief time.Duration
	// Rate is how many bytes a second a store works through at least: until an answer begins it may be silent for so much longer as it has bytes to take
	// or to move, but not longer than Answer.
	Rate   int64
	Answer time.Duration
}

// Usual are the limits of all stores. Azure Storage answers within 30 seconds, to Put Block List within 60, or says that it could not (Setting timeouts
// for Blob service operations). Amazon S3 begins to answer a copy or CompleteMultipartUpload at once, and sends spaces while that goes on; other
// servers of its protocol may be silent until it is done. What has taken a body may still be sending it on, through what buffers it on the way.
func Usual() Limits {
	return Limits{Open: 30 * time.Second, Silence: 75 * time.Second, Brief: 10 * time.Second, Rate: 256 << 10, Answer: 10 * time.Minute}
}

// bytesKey is the key of the bytes in a context.
type bytesKey struct{}

// Bytes says of the requests under a context how many bytes the store has to move for each, beside those that are sent.
func Bytes(ctx context.Context, n int64) context.Context {
	return context.WithValue(ctx, bytesKey{}, n)
}

// work is how much longer than usual an answer to a request may take that sends so many bytes.
func (l Limits) work(ctx context.Context, sent int64) time.Duration {
	n, _ := ctx.Value(bytesKey{}).(int64)
	seconds := float64(max(0, n)+max(0, sent)) / float64(max(1, l.Rate))
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2))
}
