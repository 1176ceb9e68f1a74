package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/proxy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// trial is a job from east to west with our side of the wire in the test's hands.
type trial struct {
	*testing.T
	east, west *site
	from, to   string
	mover      filecopy.Mover
	job        filecopy.Job
	source     *hdfs.Store
	target     *hdfs.Store
}

// newTrial makes a tree in the east, and goes to the sites with the given options.
func newTrial(t *testing.T, east, west wire.Options) *trial {
	all := sites(t, "east", "west")
	r := &trial{T: t, east: all[0], west: all[1], mover: native.New(t.TempDir())}
	r.from, r.to = r.east.base(t), r.west.base(t)
	r.must(r.east.client.Mkdirs(t.Context(), r.from, 0o755))
	r.must(r.west.client.Mkdirs(t.Context(), r.to, 0o755))
	r.source, r.target = r.store(r.east, r.from, east), r.store(r.west, r.to, west)
	r.job = filecopy.Job{Name: "tried", Source: r.source, Target: r.target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return r
}

func (r *trial) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// check is must for the mover's goroutines.
func (r *trial) check(err error) {
	r.Helper()
	if err != nil {
		r.Error(err)
	}
}

// store opens a tree through a client of its own.
func (r *trial) store(s *site, root string, o wire.Options) *hdfs.Store {
	r.Helper()
	if o.User == "" {
		o.User = labhdfs.Superuser
	}
	if o.RetryFor == 0 {
		o.RetryFor = 2 * time.Minute
	}
	store, err := hdfs.New(hdfs.Config{Client: s.dial(r.T, o), Namespace: s.name, Root: root, PartSize: 4 << 20, Ordinary: o.User != labhdfs.Superuser})
	r.must(err)
	return store
}

// puts has Hadoop's own client write a large file and many small ones, other ones for each seed.
func (r *trial) puts(seed int64) {
	r.Helper()
	files := []labhdfs.File{{Path: r.from + "/big", Size: 12 << 20, Seed: seed, Replication: 2, BlockSize: 4 << 20}, {Path: r.from + "/zero"}}
	for i := range int64(40) {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", r.from, i%3, i), Size: 5000 * (i % 7), Seed: seed*100 + i, Replication: 2})
	}
	r.must(judge(r.T).Put(r.Context(), r.east.cluster.Access(), files...))
}

func (r *trial) same() {
	r.Helper()
	same(r.T, judge(r.T), r.east.cluster.Access(), r.west.cluster.Access(), r.from, r.to)
}

// runs wants the job to succeed.
func (r *trial) runs() {
	r.Helper()
	_, err := r.mover.Run(r.Context(), r.job, nil)
	r.must(err)
}

// fails wants the job to fail with a code that has a page.
func (r *trial) fails(code understudy.Code) error {
	r.Helper()
	_, err := r.mover.Run(r.Context(), r.job, nil)
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		r.Fatalf("the run ended with %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		r.Errorf("%s has no page", code)
	}
	return err
}

// shows gives the target's tree by path and sum, as Hadoop's client reads it.
func (r *trial) shows() string {
	r.Helper()
	tree, err := judge(r.T).Dump(r.Context(), r.west.cluster.Access(), r.to)
	r.must(err)
	var out strings.Builder
	for _, e := range tree.Entries {
		fmt.Fprintf(&out, "%s %d %08x\n", e.Path, e.Length, e.CRC)
	}
	return out.String()
}

// amid is a target that calls once when so many parts are being written, or so many files are being shown.
type amid struct {
	filecopy.Target
	at, writing, showing int64
	parts, writes, shown atomic.Int64
	do                   func()
}

func (a *amid) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if a.parts.Add(1) == a.at {
		a.do()
	}
	return a.Target.Begin(ctx, lot, e)
}

func (a *amid) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	if a.writes.Add(1) == a.writing {
		a.do()
	}
	return a.Target.Write(ctx, h, p, r)
}

func (a *amid) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	if a.shown.Add(1) == a.showing {
		a.do()
	}
	return a.Target.Publish(ctx, sealed, e)
}

// TestServersDieAmidARun kills a DataNode that is written to, one that is read from, and the NameNode of the target. Each run lives through it.
func TestServersDieAmidARun(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	dies := func(node *labhdfs.Node, back bool) func() {
		return func() {
			err := node.Kill()
			if back {
				err = errors.Join(err, node.Restart(context.WithoutCancel(t.Context())))
			}
			r.check(err)
		}
	}
	west := r.west.cluster
	r.puts(1)
	r.job.Target = &amid{Target: r.target, at: 10, do: dies(west.DataNode(1), false)}
	r.runs()
	r.same()
	r.must(west.DataNode(1).Restart(t.Context()))
	r.puts(2)
	r.job.Target = &amid{Target: r.target, at: 10, do: dies(west.NameNode(1), true)}
	r.runs()
	r.same()
	// On the way back the DataNode dies that is read from.
	home := &trial{T: t, east: r.west, west: r.east, from: r.west.base(t), to: r.east.base(t), mover: native.New(t.TempDir())}
	home.puts(3)
	r.must(r.east.client.Mkdirs(t.Context(), home.to, 0o755))
	source, target := home.store(home.east, home.from, wire.Options{}), home.store(home.west, home.to, wire.Options{})
	home.job = filecopy.Job{Name: "home", Source: source, Target: &amid{Target: target, at: 10, do: dies(west.DataNode(2), false)}}
	home.runs()
	home.same()
	r.must(west.DataNode(2).Restart(t.Context()))
}

// TestARightIsRevokedAmidARun has an ordinary mover copy what it could give to nobody, which is refused before anything is staged, and what may
// be its own; and takes the target's tree away from it meanwhile, and gives it back, and then the source's.
func TestARightIsRevokedAmidARun(t *testing.T) {
	r := newTrial(t, wire.Options{User: "reader"}, wire.Options{User: "mover"})
	dir := filepath.Dir(r.to)
	for _, d := range []string{dir, r.to} {
		r.must(r.west.client.SetOwner(t.Context(), d, "mover", ""))
	}
	r.puts(1)
	t.Log(r.fails("US738"))
	// The files have the group of the directory above them at either side, so that one need not be given.
	r.job.Principals.Users = map[string]string{labhdfs.Superuser: "mover"}
	r.job.Target = &amid{Target: r.target, at: 10, do: func() {
		r.must(r.west.client.SetOwner(t.Context(), dir, "root", ""))
		r.must(r.west.client.SetPermission(t.Context(), dir, 0o700))
	}}
	t.Log(r.fails("US619"))
	if n := strings.Count(r.shows(), "\n"); n > 1 {
		t.Errorf("%d entries are shown", n)
	}
	r.must(r.west.client.SetOwner(t.Context(), dir, "mover", ""))
	r.must(r.west.client.SetPermission(t.Context(), dir, 0o755))
	r.runs()
	before := r.shows()
	r.puts(2)
	r.job.Target = &amid{Target: r.target, at: 10, do: func() { r.check(r.east.client.SetPermission(t.Context(), filepath.Dir(r.from), 0o700)) }}
	t.Log(r.fails("US619"))
	if r.shows() != before {
		t.Error("readers see something of a set that could not be read")
	}
	r.must(r.east.client.SetPermission(t.Context(), filepath.Dir(r.from), 0o755))
	r.runs()
	if a, b := r.sums(r.east, r.from), r.sums(r.west, r.to); a != b {
		t.Errorf("east has\n%s\nwest has\n%s", a, b)
	}
}

// sums gives all files with length and sum.
func (r *trial) sums(s *site, root string) string {
	r.Helper()
	tree, err := judge(r.T).Dump(r.Context(), s.cluster.Access(), root)
	r.must(err)
	var out strings.Builder
	for _, e := range tree.Entries {
		fmt.Fprintf(&out, "%s %d %08x\n", strings.TrimPrefix(e.Path, root), e.Length, e.CRC)
	}
	return out.String()
}

// ways leads every connection to a cluster through a proxy.
type ways struct {
	mu  sync.Mutex
	all map[string]*proxy.Proxy
}

func (w *ways) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	p, ok := w.all[address]
	if !ok {
		var err error
		if p, err = proxy.Listen("127.0.0.1:0"); err != nil {
			w.mu.Unlock()
			return nil, err
		}
		p.Forward(address)
		w.all[address] = p
	}
	w.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, p.Addr())
}

// each does something with all proxies.
func (w *ways) each(do func(*proxy.Proxy)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.all {
		do(p)
	}
}

// TestTheLinkIsCutAmidARun cuts all connections to the target, once for a moment, and for longer than the mover waits: while it stages, and in the
// middle of showing an increment.
func TestTheLinkIsCutAmidARun(t *testing.T) {
	w := &ways{all: map[string]*proxy.Proxy{}}
	t.Cleanup(func() { w.each(func(p *proxy.Proxy) { _ = p.Close() }) })
	r := newTrial(t, wire.Options{}, wire.Options{Dial: w.dial, RetryFor: 5 * time.Second})
	r.puts(1)
	r.job.Target = &amid{Target: r.target, at: 10, do: func() { w.each((*proxy.Proxy).Cut); w.each((*proxy.Proxy).Heal) }}
	// The connections that were cut break what was on them; what is staged stays.
	if _, err := r.mover.Run(t.Context(), r.job, nil); err != nil {
		t.Log(err)
		r.runs()
	}
	r.same()
	before := r.shows()
	r.puts(2)
	r.job.Target = &amid{Target: r.target, at: 10, do: func() { w.each((*proxy.Proxy).Cut) }}
	t.Log(r.fails("US600"))
	if r.shows() != before {
		t.Error("readers see something of a set that did not arrive")
	}
	w.each((*proxy.Proxy).Heal)
	r.runs()
	r.same()
	before = r.shows()
	r.puts(3)
	r.must(judge(t).Remove(t.Context(), r.east.cluster.Access(), r.from+"/d0/f0"))
	after := strings.ReplaceAll("\n"+r.sums(r.east, r.from), "\n", "\n"+r.to)
	// Up to 16 are shown at once.
	r.job.Target = &amid{Target: r.target, showing: 25, do: func() { w.each((*proxy.Proxy).Cut) }}
	t.Log(r.fails("US600"))
	r.between(before, after)
	w.each((*proxy.Proxy).Heal)
	r.runs()
	r.same()
}

// between wants each file that is shown to be that of one set or of the next, whole, and some of either.
func (r *trial) between(before, after string) {
	r.Helper()
	old, young := 0, 0
	for line := range strings.Lines(r.shows()) {
		was, is := strings.Contains(before, line), strings.Contains(after, line)
		switch {
		case was && !is:
			old++
		case is && !was:
			young++
		case !was:
			r.Errorf("neither set has %s", line)
		}
	}
	r.Logf("%d files of the last set are shown, and %d of the next", old, young)
	if old == 0 || young == 0 {
		r.Error("showing was not cut in its middle")
	}
}

// noise flips one byte on every so many connections to DataNodes, deep in the stream.
type noise struct {
	names        map[string]bool
	reads        bool
	every, depth int64
	conns, flips atomic.Int64
}

func (n *noise) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || n.names[address] || n.conns.Add(1)%n.every != 0 {
		return c, err
	}
	return &noisy{Conn: c, of: n}, nil
}

type noisy struct {
	net.Conn
	of   *noise
	seen int64
}

// flip flips a byte of b when the stream reaches the depth in it.
func (c *noisy) flip(b []byte) []byte {
	at := c.of.depth - c.seen
	c.seen += int64(len(b))
	if at < 0 || at >= int64(len(b)) {
		return b
	}
	c.of.flips.Add(1)
	out := append([]byte(nil), b...)
	out[at] ^= 0x40
	return out
}

func (c *noisy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.of.reads && n > 0 {
		copy(b, c.flip(b[:n]))
	}
	return n, err
}

func (c *noisy) Write(b []byte) (int, error) {
	if c.of.reads {
		return c.Conn.Write(b)
	}
	return c.Conn.Write(c.flip(b))
}

// TestBytesFlipOnTheWire flips bytes on the way from the source's DataNodes and on the way to the target's. No wrong byte arrives.
func TestBytesFlipOnTheWire(t *testing.T) {
	all := sites(t, "east", "west")
	from := &noise{reads: true, every: 3, depth: 3000, names: map[string]bool{all[0].cluster.Addr(): true}}
	to := &noise{every: 5, depth: 3000, names: map[string]bool{all[1].cluster.Addr(): true}}
	r := newTrial(t, wire.Options{Dial: from.dial}, wire.Options{Dial: to.dial})
	r.puts(1)
	for try := 0; ; try++ {
		_, err := r.mover.Run(t.Context(), r.job, nil)
		if err == nil {
			break
		}
		t.Log(err)
		if try == 5 {
			t.Fatal("it never comes through")
		}
	}
	r.same()
	t.Logf("%d bytes were flipped on the way from the source, %d on the way to the target", from.flips.Load(), to.flips.Load())
	if from.flips.Load() == 0 || to.flips.Load() == 0 {
		t.Error("nothing was flipped")
	}
}

// rot flips a byte on the disks of every DataNode that holds the first block of a file, or back.
func (s *site) rot(t *testing.T, name string) {
	t.Helper()
	b, err := s.client.Locate(t.Context(), name, 0, 1)
	if err != nil || len(b.List) == 0 {
		t.Fatalf("%s has no block: %v", name, err)
	}
	flipped, err := s.flip(b.List[0].ID, len(s.cluster.DataAddrs()))
	if err != nil || len(flipped) == 0 {
		t.Fatalf("no replica of %s was found: %v", name, err)
	}
}

// TestBytesFlipOnDisks flips a byte in every replica at the source, before it is read, and at the target, after it is shown.
func TestBytesFlipOnDisks(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	r.puts(1)
	r.runs()
	before := r.shows()
	r.puts(2)
	r.east.rot(t, r.from+"/big")
	t.Log(r.fails("US606"))
	if r.shows() != before {
		t.Error("readers see something of a set whose source is rotten")
	}
	r.east.rot(t, r.from+"/big")
	r.runs()
	r.same()
	// DataNodes check what they are sent before they write it, and sum up by what they keep beside it: what rots later shows when it is read.
	r.west.rot(t, r.to+"/big")
	_, err := r.mover.Compare(t.Context(), r.job, false, func(d filecopy.Difference) error { return fmt.Errorf("a difference: %+v", d) })
	r.must(err)
	var found []filecopy.Difference
	_, err = r.mover.Compare(t.Context(), r.job, true, func(d filecopy.Difference) error { found = append(found, d); return nil })
	t.Logf("found %+v, %v", found, err)
	var e *understudy.Error
	if len(found) == 0 && (!errors.As(err, &e) || e.Code != "US606") {
		t.Error("a deep look at the target does not see that it is rotten")
	}
	r.west.rot(t, r.to+"/big")
}
