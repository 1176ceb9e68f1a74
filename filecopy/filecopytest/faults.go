package filecopytest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/understudy-dr/understudy/filecopy"
)

// errCrash is what every call gives once the process counts as dead.
var errCrash = errors.New("crashed")

// fuse counts calls, and is dead from one on.
type fuse struct {
	mu    sync.Mutex
	calls int
	// at is the call that fails first; zero never.
	at int
	// after lets that call have its effect before it fails.
	after bool
}

// burn counts a call. effect says whether the call still happens, and err what it answers then.
func (f *fuse) burn() (effect bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	switch {
	case f.at == 0 || f.calls < f.at:
		return true, nil
	case f.calls == f.at && f.after:
		return true, errCrash
	}
	return false, errCrash
}

// do makes a call through the fuse.
func (f *fuse) do(call func() error) error {
	effect, err := f.burn()
	if !effect {
		return err
	}
	if cerr := call(); err == nil {
		err = cerr
	}
	return err
}

// through makes a call with an answer through the fuse.
func through[T any](f *fuse, call func() (T, error)) (T, error) {
	var zero T
	effect, err := f.burn()
	if !effect {
		return zero, err
	}
	v, cerr := call()
	if err != nil {
		return zero, err
	}
	return v, cerr
}

// frail is a target whose calls go through a fuse.
type frail struct {
	filecopy.Target
	fuse *fuse
}

// fragile gives a target whose calls go through a fuse, and which can do what the target can.
func fragile(to filecopy.Target, f *fuse) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, _ bool) filecopy.Target { return &frail{to, f} }, func(_ string, do func() error) error { return f.do(do) })
}

func (f *frail) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	return through(f.fuse, func() (filecopy.Handle, error) { return f.Target.Begin(ctx, lot, e) })
}

func (f *frail) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	return f.fuse.do(func() error { return f.Target.Write(ctx, h, p, r) })
}

func (f *frail) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, s filecopy.Checksum) (filecopy.Sealed, error) {
	return through(f.fuse, func() (filecopy.Sealed, error) { return f.Target.Seal(ctx, h, e, s) })
}

func (f *frail) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	return through(f.fuse, func() (string, error) { return f.Target.Publish(ctx, s, e) })
}

func (f *frail) Discard(ctx context.Context, lot string) error {
	return f.fuse.do(func() error { return f.Target.Discard(ctx, lot) })
}

func (f *frail) MakeDirectory(ctx context.Context, e filecopy.Entry) error {
	return f.fuse.do(func() error { return f.Target.MakeDirectory(ctx, e) })
}

func (f *frail) MakeLink(ctx context.Context, e filecopy.Entry) error {
	return f.fuse.do(func() error { return f.Target.MakeLink(ctx, e) })
}

func (f *frail) SetAttributes(ctx context.Context, p filecopy.Path, a filecopy.Attributes, fields filecopy.Fields) error {
	return f.fuse.do(func() error { return f.Target.SetAttributes(ctx, p, a, fields) })
}

func (f *frail) Move(ctx context.Context, from, to filecopy.Path) error {
	return f.fuse.do(func() error { return f.Target.Move(ctx, from, to) })
}

func (f *frail) Retire(ctx context.Context, p filecopy.Path, q string) error {
	return f.fuse.do(func() error { return f.Target.Retire(ctx, p, q) })
}

func (f *frail) Keep(ctx context.Context, name string, r io.Reader) error {
	return f.fuse.do(func() error { return f.Target.Keep(ctx, name, r) })
}

func (f *frail) Forget(ctx context.Context, name string) error {
	return f.fuse.do(func() error { return f.Target.Forget(ctx, name) })
}

// flipper flips one bit of what a target is given, as a bad disk or memory would: of the n-th part on, or of that one alone.
type flipper struct {
	mu    sync.Mutex
	parts int
	at    int
	once  bool
}

// over puts the flipper before a target.
func (f *flipper) over(to filecopy.Target) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, _ bool) filecopy.Target { return &flipping{to, f} }, nil)
}

type flipping struct {
	filecopy.Target
	by *flipper
}

func (f *flipping) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	f.by.mu.Lock()
	f.by.parts++
	flip := f.by.parts == f.by.at || f.by.parts > f.by.at && !f.by.once
	f.by.mu.Unlock()
	if flip {
		r = flipped(r)
	}
	return f.Target.Write(ctx, h, p, r)
}

// flippedReader flips a bit of the first byte.
type flippedReader struct {
	r    io.Reader
	done bool
}

// flipped gives a flippedReader that gives pieces where r does.
func flipped(r io.Reader) io.Reader {
	f := &flippedReader{r: r}
	if p, ok := r.(filecopy.Piecewise); ok {
		return &flippedPieces{f, p}
	}
	return f
}

func (f *flippedReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.flip(p[:n])
	return n, err
}

func (f *flippedReader) flip(p []byte) {
	if len(p) > 0 && !f.done {
		f.done = true
		p[0] ^= 0x10
	}
}

type flippedPieces struct {
	*flippedReader
	pieces filecopy.Piecewise
}

func (f *flippedPieces) Piece(most int64) (filecopy.Piece, error) {
	p, err := f.pieces.Piece(most)
	if err == nil {
		f.flip(p.Data())
	}
	return p, err
}

// meddled is a source of which somebody changes something when a file is first read: in the middle, after its first byte.
type meddled struct {
	filecopy.Store
	path filecopy.Path
	// flip flips a bit of what is read instead.
	flip bool
	act  func()
	once sync.Once
}

func (m *meddled) Open(ctx context.Context, at filecopy.Pin) (filecopy.View, error) {
	v, err := m.Store.Open(ctx, at)
	return &meddledView{v, m}, err
}

type meddledView struct {
	filecopy.View
	of *meddled
}

func (v *meddledView) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	r, err := v.View.Read(ctx, e, offset)
	if err != nil || e.Path != v.of.path {
		return r, err
	}
	if v.of.flip {
		return closed(flipped(r), r), nil
	}
	m := &meddledReader{r, v.of}
	if p, ok := r.(filecopy.Piecewise); ok {
		return closed(&meddledPieces{m, p}, r), nil
	}
	return closed(m, r), nil
}

type closing struct {
	io.Reader
	io.Closer
}

type closingPieces struct {
	closing
	filecopy.Piecewise
}

// closed gives a reader that closes as c does, and gives pieces where r does.
func closed(r io.Reader, c io.Closer) io.ReadCloser {
	if p, ok := r.(filecopy.Piecewise); ok {
		return &closingPieces{closing{r, c}, p}
	}
	return &closing{r, c}
}

type meddledReader struct {
	r  io.Reader
	of *meddled
}

func (m *meddledReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p[:min(len(p), 1)])
	m.of.once.Do(m.of.act)
	return n, err
}

type meddledPieces struct {
	*meddledReader
	pieces filecopy.Piecewise
}

func (m *meddledPieces) Piece(most int64) (filecopy.Piece, error) {
	p, err := m.pieces.Piece(min(most, 1))
	m.of.once.Do(m.of.act)
	return p, err
}
