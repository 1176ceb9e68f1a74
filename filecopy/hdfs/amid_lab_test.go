package hdfs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// amid does something once amid a run: in the middle of a file, when the first part is written, when so many files are put into new directories
// out of sight, or before the first of these is shown.
type amid struct {
	// in is a file of which so many bytes have been read by then; whatever else is written stands still meanwhile.
	in                 filecopy.Path
	within             int64
	writing, revealing bool
	putting            int64
	do                 func()

	once    sync.Once
	happens atomic.Bool
	// still is held while it is done, and paths are those of handles.
	still sync.Mutex
	paths sync.Map
	// parts counts files that are begun, hidden those among them whose place is in a new directory out of sight, and put those that come there.
	parts, hidden, put atomic.Int64
}

// over puts it before a target.
func (a *amid) over(to filecopy.Target) filecopy.Target {
	return filecopytest.Wrap(to, func(to filecopy.Target, hidden bool) filecopy.Target { return &eventful{to, a, hidden} }, func(call string, do func() error) error {
		if a.revealing && call == "reveal" {
			a.strike()
		}
		return do()
	})
}

func (a *amid) strike() {
	a.once.Do(func() {
		a.happens.Store(true)
		a.do()
	})
}

// eventful is a target amid whose calls something happens.
type eventful struct {
	filecopy.Target
	of     *amid
	hidden bool
}

func (e *eventful) Begin(ctx context.Context, lot string, entry filecopy.Entry) (filecopy.Handle, error) {
	e.of.parts.Add(1)
	if e.hidden {
		e.of.hidden.Add(1)
	}
	h, err := e.Target.Begin(ctx, lot, entry)
	e.of.paths.Store(h, entry.Path)
	return h, err
}

func (e *eventful) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	if e.of.writing {
		e.of.strike()
	}
	at, _ := e.of.paths.Load(h)
	t := &tap{Reader: r, of: e.of, strikes: e.of.in != "" && at == e.of.in}
	if pieces, ok := r.(filecopy.Piecewise); ok {
		return e.Target.Write(ctx, h, p, &tapPieces{t, pieces})
	}
	return e.Target.Write(ctx, h, p, t)
}

func (e *eventful) Publish(ctx context.Context, sealed filecopy.Sealed, entry filecopy.Entry) (string, error) {
	if e.hidden && e.of.put.Add(1) == e.of.putting {
		e.of.strike()
	}
	return e.Target.Publish(ctx, sealed, entry)
}

// tap is a reader that stands still while something happens.
type tap struct {
	io.Reader
	of      *amid
	strikes bool
	n       int64
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.passed(n)
	return n, err
}

func (t *tap) passed(n int) {
	t.of.still.Lock()
	defer t.of.still.Unlock()
	if t.n += int64(n); t.strikes && t.n >= t.of.within {
		t.of.strike()
	}
}

type tapPieces struct {
	*tap
	pieces filecopy.Piecewise
}

func (t *tapPieces) Piece(most int64) (filecopy.Piece, error) {
	p, err := t.pieces.Piece(most)
	if err == nil {
		t.passed(len(p.Data()))
	}
	return p, err
}

// strikes has something happen amid the next run, when files lie where a new directory is put together.
func (r *trial) strikes(a *amid) *amid {
	do := a.do
	a.do = func() {
		n := r.assembled()
		r.Logf("it strikes with %d files in new directories out of sight, %d of them written there", n, a.hidden.Load())
		if n == 0 {
			r.Error("nothing is put together out of sight")
		}
		do()
	}
	r.amid, r.job.Target = a, a.over(r.target)
	return a
}

// struck wants what was to happen to have happened.
func (r *trial) struck() {
	r.Helper()
	if r.amid != nil && !r.amid.happens.Load() {
		r.Error("nothing happened amid the run")
	}
	r.amid, r.job.Target = nil, r.target
}

// assembled counts the files that lie at the target where new directories are put together.
func (r *trial) assembled() (n int) {
	area := path.Join(path.Dir(r.to), "."+path.Base(r.to)+".understudy", "staging")
	r.check(r.west.client.Walk(r.Context(), area, wire.ListOptions{Vanishing: true}, func(f *wire.FileInfo) error {
		if f.Type == wire.TypeFile && strings.Contains(f.Path, "/whole/") {
			n++
		}
		return nil
	}))
	return n
}

// block gives the first block of a file.
func (r *trial) block(s *site, name string) wire.Block {
	b, err := s.client.Locate(r.Context(), name, 0, 1)
	r.check(err)
	if err != nil || len(b.List) == 0 {
		return wire.Block{}
	}
	return b.List[0]
}

// made writes a file of one block at a site, and gives the block.
func (r *trial) made(s *site, name string) wire.Block {
	w, err := s.client.Create(r.Context(), name, wire.CreateOptions{Replication: 2})
	if err == nil {
		_, err = w.Write([]byte("a block"))
		err = errors.Join(err, w.Close())
	}
	r.check(err)
	return r.block(s, name)
}

// recovered says whether the pipeline broke of a block that was begun before another one was: it was written anew, under a number of later, or it has
// a generation more than there are blocks, as a recovery makes.
func recovered(other, b wire.Block) bool {
	return b.ID > other.ID || b.Generation-b.ID > other.Generation-other.ID
}

// streams are a client's connections, with small buffers for what DataNodes send: what one has not sent dies with it.
type streams struct {
	data []string
	// last is the one over which a DataNode has sent something last.
	last atomic.Pointer[streamed]
}

func (s *streams) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || !slices.Contains(s.data, address) {
		return c, err
	}
	return &streamed{Conn: c, of: s, address: address}, c.(*net.TCPConn).SetReadBuffer(16 << 10)
}

type streamed struct {
	net.Conn
	of      *streams
	address string
	// broke says that the other side ended it while it was read.
	closed, broke atomic.Bool
}

func (c *streamed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !c.closed.Load() {
		c.broke.Store(true)
	}
	if n > 0 {
		c.of.last.Store(c)
	}
	return n, err
}

func (c *streamed) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}
