package hdfs_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
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
	// amid is what is to happen in the next run; nil is nothing.
	amid *amid
	// part is the size of parts at its stores; 0 is 4 MiB.
	part int64
}

// newTrial makes a tree in the east, and goes to the sites with the given options.
func newTrial(t *testing.T, east, west wire.Options) *trial {
	all := sites(t, "east", "west")
	return trialOf(t, all[0], all[1], east, west)
}

// trialOf makes one between any two sites.
func trialOf(t *testing.T, from, to *site, east, west wire.Options) *trial {
	t.Helper()
	r := &trial{T: t, east: from, west: to, mover: native.New(t.TempDir())}
	r.from, r.to = r.east.base(t), r.west.base(t)
	r.must(r.east.client.Mkdirs(t.Context(), r.from, 0o755))
	r.must(r.west.client.Mkdirs(t.Context(), r.to, 0o755))
	r.source, r.target = r.store(r.east, r.from, east, false), r.store(r.west, r.to, west, false)
	r.job = filecopy.Job{Name: "tried", Source: r.source, Target: r.target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return r
}

// newStill makes a trial whose source is held still by snapshots, as it is in production: new directories are put together out of sight, and small
// files of theirs are written where they belong in there.
func newStill(t *testing.T, east, west wire.Options) *trial {
	r := newTrial(t, east, west)
	r.still(east)
	// So some small files are not begun yet when something happens in the middle of one.
	r.job.Limits.MaxParallel = 8
	return r
}

// still lets the source have snapshots, of whoever reads it.
func (r *trial) still(o wire.Options) {
	r.Helper()
	if o.User != "" {
		r.must(r.east.client.SetOwner(r.Context(), r.from, o.User, ""))
	}
	r.must(r.east.client.AllowSnapshots(r.Context(), r.from))
	r.source = r.store(r.east, r.from, o, true)
	r.job.Source = r.source
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
func (r *trial) store(s *site, root string, o wire.Options, snapshots bool) *hdfs.Store {
	r.Helper()
	if o.User == "" {
		o.User = labhdfs.Superuser
	}
	if o.RetryFor == 0 {
		o.RetryFor = 2 * time.Minute
	}
	store, err := hdfs.New(hdfs.Config{
		Client: s.dial(r.T, o), Namespace: s.name, Root: root, Snapshots: snapshots, PartSize: cmp.Or(r.part, 4<<20), Ordinary: o.User != labhdfs.Superuser,
	})
	r.must(err)
	return store
}

// filesPut is how many files a seed puts.
const filesPut = 84

// puts has Hadoop's own client write a large file and many small ones, other ones for each seed; and as many in a directory of the seed's own, with one
// among them that is not large, and still takes a while.
func (r *trial) puts(seed int64) {
	r.Helper()
	dir := r.from + "/" + string(fresh(seed))
	files := []labhdfs.File{
		{Path: r.from + "/big", Size: 12 << 20, Seed: seed, Replication: 2, BlockSize: 4 << 20}, {Path: r.from + "/zero"},
		{Path: dir + "/big", Size: 6 << 20, Seed: seed * 7, Replication: 2, BlockSize: 4 << 20},
		{Path: dir + "/mid", Size: 3 << 20, Seed: seed * 11, Replication: 2, BlockSize: 4 << 20},
	}
	for i := range int64(40) {
		below := dir + "/a"
		if i > 15 {
			below = dir + "/z"
		}
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", r.from, i%3, i), Size: 5000 * (i % 7), Seed: seed*100 + i, Replication: 2},
			labhdfs.File{Path: fmt.Sprintf("%s/f%d", below, i), Size: 3000 * (i % 5), Seed: seed*1000 + i, Replication: 2})
	}
	r.must(judge(r.T).Put(r.Context(), r.east.cluster.Access(), files...))
}

// fresh is the directory that a seed makes. Its large file comes first, then small ones, the middle one and more small ones.
func fresh(seed int64) filecopy.Path { return filecopy.Path(fmt.Sprintf("new%d", seed)) }

// midway has something happen in the middle of the middle file of a seed, which is written where it belongs in its new directory.
func (r *trial) midway(seed int64, do func()) *amid {
	return r.strikes(&amid{in: fresh(seed) + "/mid", within: 2 << 20, do: do})
}

func (r *trial) same() {
	r.Helper()
	same(r.T, judge(r.T), r.east.cluster.Access(), r.west.cluster.Access(), r.from, r.to)
}

// runs wants the job to succeed.
func (r *trial) runs() {
	r.Helper()
	_, err := r.mover.Run(r.Context(), r.job, nil)
	r.struck()
	r.must(err)
}

// fails wants the job to fail with a code that has a page.
func (r *trial) fails(code understudy.Code) error {
	r.Helper()
	_, err := r.mover.Run(r.Context(), r.job, nil)
	r.struck()
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

// TestServersDieAmidARun kills a DataNode in the middle of a file that is written to it, one in the middle of a file that is read from it, and the
// NameNode of the target. Each run lives through it.
func TestServersDieAmidARun(t *testing.T) {
	r := newStill(t, wire.Options{}, wire.Options{})
	west := r.west.cluster
	r.puts(1)
	// Each of the two DataNodes is in every pipeline.
	var before wire.Block
	r.midway(1, func() {
		before = r.made(r.west, filepath.Dir(r.to)+"/block")
		r.check(west.DataNode(1).Kill())
	})
	r.runs()
	r.same()
	if now := r.block(r.west, r.to+"/new1/mid"); !recovered(before, now) {
		t.Errorf("no pipeline broke: %d of generation %d was written before, %d of %d after", before.ID, before.Generation, now.ID, now.Generation)
	}
	r.must(west.DataNode(1).Restart(t.Context()))
	r.puts(2)
	r.midway(2, func() {
		r.check(errors.Join(west.NameNode(1).Kill(), west.NameNode(1).Restart(context.WithoutCancel(t.Context()))))
	})
	r.runs()
	r.same()
	home := &trial{T: t, east: r.west, west: r.east, from: r.west.base(t), to: r.east.base(t), mover: native.New(t.TempDir()), part: 32 << 20}
	home.diesWhileRead(3)
}

// diesWhileRead kills the DataNode from which a file is being read in its middle, and starts it again afterwards.
func (r *trial) diesWhileRead(seed int64) {
	r.puts(seed)
	long := fresh(seed) + "/long"
	r.must(judge(r.T).Put(r.Context(), r.east.cluster.Access(), labhdfs.File{Path: r.from + "/" + string(long), Size: 16 << 20, Seed: seed, Replication: 2, BlockSize: 32 << 20}))
	r.must(r.west.client.Mkdirs(r.Context(), r.to, 0o755))
	from := &streams{data: r.east.cluster.DataAddrs()}
	r.target = r.store(r.west, r.to, wire.Options{}, false)
	// One file at a time: what was read last from a DataNode is what is being read.
	r.job = filecopy.Job{Name: "home", Limits: filecopy.Limits{MinParallel: 1, MaxParallel: 1}}
	r.still(wire.Options{Dial: from.dial})
	var reading *streamed
	dead := 0
	r.strikes(&amid{in: long, within: 2 << 20, do: func() {
		if reading = from.last.Load(); reading == nil {
			r.Error("nothing is read from a DataNode")
			return
		}
		dead = slices.Index(from.data, reading.address) + 1
		r.check(r.east.cluster.DataNode(dead).Kill())
	}})
	r.runs()
	r.same()
	if dead == 0 {
		return
	}
	if !reading.broke.Load() {
		r.Errorf("the stream from DataNode %d did not break", dead)
	}
	r.must(r.east.cluster.DataNode(dead).Restart(r.Context()))
}

// TestARightIsRevokedAmidARun has an ordinary mover copy what it could give to nobody, which is refused before anything is staged, and what may
// be its own; and takes the target's tree away from it while it stages, and while it shows a set, and gives it back, and then the source's.
func TestARightIsRevokedAmidARun(t *testing.T) {
	r := newStill(t, wire.Options{User: "reader"}, wire.Options{User: "mover"})
	dir := filepath.Dir(r.to)
	for _, d := range []string{dir, r.to} {
		r.must(r.west.client.SetOwner(t.Context(), d, "mover", ""))
	}
	r.puts(1)
	t.Log(r.fails("US738"))
	// The files have the group of the directory above them at either side, so that one need not be given.
	r.job.Principals.Users = map[string]string{labhdfs.Superuser: "mover", "reader": "mover"}
	revoke := func() {
		r.check(r.west.client.SetOwner(t.Context(), dir, "root", ""))
		r.check(r.west.client.SetPermission(t.Context(), dir, 0o700))
	}
	grant := func() {
		r.must(r.west.client.SetOwner(t.Context(), dir, "mover", ""))
		r.must(r.west.client.SetPermission(t.Context(), dir, 0o755))
	}
	r.midway(1, revoke)
	t.Log(r.fails("US619"))
	if n := strings.Count(r.shows(), "\n"); n > 1 {
		t.Errorf("%d entries are shown", n)
	}
	grant()
	r.runs()
	r.halfShown(2, "US619", &amid{putting: 10, do: revoke}, grant)
	before := r.shows()
	r.puts(3)
	r.midway(3, func() { r.check(r.east.client.SetPermission(t.Context(), filepath.Dir(r.from), 0o700)) })
	t.Log(r.fails("US619"))
	if r.shows() != before {
		t.Error("readers see something of a set that could not be read")
	}
	r.must(r.east.client.SetPermission(t.Context(), filepath.Dir(r.from), 0o755))
	r.runs()
	r.alikeSums()
}

// alikeSums wants both sides to have the same files.
func (r *trial) alikeSums() {
	r.Helper()
	if a, b := r.sums(r.east, r.from), r.sums(r.west, r.to); a != b {
		r.Errorf("east has\n%s\nwest has\n%s", a, b)
	}
}

// halfShown has something happen while an increment is shown, which ends the run with a code. Readers see files of both sets, each whole, and nothing of
// the new directory; once it is mended all is shown.
func (r *trial) halfShown(seed int64, code understudy.Code, a *amid, mend func()) {
	r.Helper()
	before := r.shows()
	r.puts(seed)
	r.must(judge(r.T).Remove(r.Context(), r.east.cluster.Access(), fmt.Sprintf("%s/d%d/f%d", r.from, seed%3, seed)))
	after := strings.ReplaceAll("\n"+r.sums(r.east, r.from), "\n", "\n"+r.to)
	r.strikes(a)
	r.Log(r.fails(code))
	r.between(before, after)
	if strings.Contains(r.shows(), r.to+"/"+string(fresh(seed))) {
		r.Error("readers see something of a directory that is put together")
	}
	mend()
	r.runs()
	r.alikeSums()
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

// TestTheLinkIsCutAmidARun cuts all connections to the target, once for a moment, and for longer than the mover waits: while it stages, in the
// middle of showing an increment, and right before a new directory is shown.
func TestTheLinkIsCutAmidARun(t *testing.T) {
	w := &ways{all: map[string]*proxy.Proxy{}}
	t.Cleanup(func() { w.each(func(p *proxy.Proxy) { _ = p.Close() }) })
	r := newStill(t, wire.Options{}, wire.Options{Dial: w.dial, RetryFor: 5 * time.Second})
	cut, heal := func() { w.each((*proxy.Proxy).Cut) }, func() { w.each((*proxy.Proxy).Heal) }
	r.puts(1)
	r.midway(1, func() { cut(); heal() })
	// The connections that were cut break what was on them; what is staged stays.
	_, err := r.mover.Run(t.Context(), r.job, nil)
	r.struck()
	if err != nil {
		t.Log(err)
		r.runs()
	}
	r.same()
	before := r.shows()
	r.puts(2)
	r.midway(2, cut)
	t.Log(r.fails("US600"))
	if r.shows() != before {
		t.Error("readers see something of a set that did not arrive")
	}
	heal()
	r.runs()
	r.same()
	r.halfShown(3, "US600", &amid{putting: 10, do: cut}, heal)
	r.halfShown(4, "US600", &amid{revealing: true, do: cut}, heal)
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
	r := newStill(t, wire.Options{Dial: from.dial}, wire.Options{Dial: to.dial})
	r.puts(1)
	way := r.midway(1, func() {})
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
	r.struck()
	r.same()
	t.Logf("%d bytes were flipped on the way from the source, %d on the way to the target", from.flips.Load(), to.flips.Load())
	if from.flips.Load() == 0 || to.flips.Load() == 0 || way.hidden.Load() == 0 {
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
	r := newStill(t, wire.Options{}, wire.Options{})
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
