package filecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// maxReopen is how often one reading may be taken up again after a connection broke.
const maxReopen = 8

// Answer is what a store gives of one version of a file, from an offset on.
type Answer struct {
	Body    io.ReadCloser
	Version string
	// Size is that of Body in bytes, and is only asked for with the whole of a version that nobody named.
	Size int64
	// Sum is what the store says that the whole version sums to, where it does.
	Sum Checksum
}

// Rest reads one version of a file to its end, over as many answers of its store as that takes. All of them are held to the version.
type Rest struct {
	// Name is for people. At is where the reading is, in bytes, Size where it ends.
	Name string
	At   int64
	Size int64
	// Version is empty, and Size unknown, before the first answer when any version will do.
	Version string
	// Ask asks for a version from an offset on, ErrChanged when it is gone.
	Ask func(ctx context.Context, version string, at int64) (Answer, error)
	// Want is what the version sums to, where that is known and it is read from its beginning.
	Want Checksum
	// End, where it is set, says at the end whether the version is still the one that is there.
	End func(ctx context.Context) error

	ctx    context.Context
	body   io.ReadCloser
	opened int
	sum    Checksum
}

// Begin starts the reading with a first answer, and believes what it says about the whole. All is asked for under ctx.
func (r *Rest) Begin(ctx context.Context) (*Rest, error) {
	r.Later(ctx)
	first, err := r.ask()
	if err == nil && r.At == 0 {
		r.Want = first.Sum
	}
	return r, err
}

// Later starts the reading without an answer: the first Read asks for one, under ctx.
func (r *Rest) Later(ctx context.Context) *Rest {
	r.ctx, r.sum = ctx, SumOf(0)
	return r
}

// ask asks for what is left.
func (r *Rest) ask() (Answer, error) {
	a, err := r.Ask(r.ctx, r.Version, r.At)
	if err != nil {
		return a, err
	}
	if r.Version == "" {
		r.Version, r.Size = a.Version, a.Size
	}
	switch {
	case r.Version == "":
		return a, errors.Join(fmt.Errorf("the store tells no versions of %q", r.Name), a.Body.Close())
	case a.Version != r.Version:
		return a, errors.Join(fmt.Errorf("%w: %q", ErrChanged, r.Name), a.Body.Close())
	}
	r.body = a.Body
	return a, nil
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
		if _, err := r.ask(); err != nil {
			return 0, err
		}
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
