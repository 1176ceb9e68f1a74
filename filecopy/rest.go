package filecopy

import (
	"context"
	"fmt"
	"io"
)

// maxReopen is how often one reading may be taken up again after a connection broke.
const maxReopen = 8

// Rest reads one version of a file to its end, over as many answers of its store as that takes.
type Rest struct {
	// Name is for people. At is where the reading is, Size where it ends.
	Name string
	At   int64
	Size int64
	// Open asks for the version from an offset on, and gives ErrChanged when it is another one.
	Open func(ctx context.Context, at int64) (io.ReadCloser, error)
	// Want is what the version sums to, where that is known and it is read from its beginning.
	Want Checksum
	// End, where it is set, says at the end whether the version is still the one that is there.
	End func(ctx context.Context) error

	ctx    context.Context
	body   io.ReadCloser
	opened int
	sum    Checksum
}

// Begin starts the reading with an answer that is there already, or with none. Every later answer is asked for under ctx.
func (r *Rest) Begin(ctx context.Context, body io.ReadCloser) *Rest {
	r.ctx, r.body, r.sum = ctx, body, SumOf(0)
	return r
}

// Read gives the next bytes; at the end of a file that was read whole its checksum must agree, else ErrCorrupt.
func (r *Rest) Read(p []byte) (int, error) {
	if r.At >= r.Size {
		if r.Want.Known && r.Want != r.sum {
			return 0, fmt.Errorf("%w: %q was read as %s, written as %s", ErrCorrupt, r.Name, r.sum, r.Want)
		}
		if r.End != nil {
			if err := r.End(r.ctx); err != nil {
				return 0, err
			}
		}
		return 0, io.EOF
	}
	if r.body == nil {
		body, err := r.Open(r.ctx, r.At)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.Size-r.At)])
	r.At += int64(n)
	if r.Want.Known {
		r.sum = r.sum.Extend(p[:n])
	}
	if err == nil || r.At >= r.Size {
		return n, nil
	}
	// The connection broke, or the answer was short.
	_ = r.body.Close()
	r.body = nil
	if r.opened++; r.opened > maxReopen || r.ctx.Err() != nil {
		return n, err
	}
	return n, nil
}

// Close ends the reading.
func (r *Rest) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
