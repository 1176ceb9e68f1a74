package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// wanted gives the number that a variable of the environment says.
func wanted(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// race is two clusters.
type race struct {
	sites  [2]*labhdfs.Cluster
	wires  [2]*wire.Client
	runs   int
	filled map[string]bool
	// kept is how many blocks there are at the target of copies that stay.
	kept int
}

func newRace(b *testing.B) *race {
	b.Helper()
	r := &race{filled: map[string]bool{}}
	for i, c := range labhdfs.BootAll(b, labhdfs.Options{Name: "east", Optimise: true, HeapMB: 512}, labhdfs.Options{Name: "west", Optimise: true, HeapMB: 512}) {
		client, err := wire.Dial(b.Context(), wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser})
		must(b, err)
		b.Cleanup(client.Close)
		r.sites[i], r.wires[i] = c, client
	}
	return r
}

// fill writes a tree at the source once.
func (r *race) fill(b *testing.B, s set) {
	b.Helper()
	if r.filled[s.name] {
		return
	}
	r.filled[s.name] = true
	block := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(block)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range s.files {
		g.Go(func() error {
			w, err := r.wires[0].Create(b.Context(), s.file(i), wire.CreateOptions{Parents: true})
			if err != nil {
				return err
			}
			for left := s.size; left > 0; left -= int64(len(block)) {
				if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
					return err
				}
			}
			return w.Close()
		})
	}
	must(b, g.Wait())
	must(b, r.wires[0].AllowSnapshots(b.Context(), s.root()))
}

// lap is one copy.
type lap struct {
	took   time.Duration
	copier time.Duration
	server time.Duration
	// compiled is what the compilers of the servers took of that.
	compiled time.Duration
	// calls are those to both NameNodes, by their own count.
	calls tally
	files int
	// sent counts the calls that our clients sent in the lap, to hold against those.
	sent int64
}

func (l lap) cpu() time.Duration { return l.copier + l.server }

func (l lap) perFile() float64 { return l.calls.sum() / float64(max(l.files, 1)) }

// String gives a lap for the log.
func (l lap) String() string {
	return fmt.Sprintf("%.1f s (CPU %.1f + %.1f s, %.1f s of it to compile), %.2f calls a file (%.0f served, %d of them ours: %v)",
		l.took.Seconds(), l.copier.Seconds(), l.server.Seconds(), l.compiled.Seconds(), l.perFile(), l.calls.sum(), l.sent, l.calls)
}

// time measures what is done with a set: the copier is this process. All laps are measured in the same way, also where nobody asks for the calls:
// the NameNodes are up to ten seconds behind in counting them, and a virtual machine loses to its host what memory lies free that long. Who
// began at once would find it still there, and be faster by a fifth.
func (r *race) time(b *testing.B, s set, do func()) lap {
	b.Helper()
	calls, sent, compiled := r.asked(b), r.sent(), r.compiling(b)
	began, used, served := time.Now(), own(b), r.serving(b)
	do()
	l := lap{took: time.Since(began), copier: own(b) - used, server: r.serving(b) - served, files: s.files, sent: r.sent() - sent}
	l.compiled = r.compiling(b) - compiled
	l.calls = r.asked(b).since(calls)
	return l
}

// compiling is what the compilers of all servers took so far.
func (r *race) compiling(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, c := range r.sites {
		bean, err := labhdfs.JMX(b.Context(), c.HTTP(), "java.lang:type=Compilation")
		must(b, err)
		ms, _ := bean["TotalCompilationTime"].(float64)
		sum += time.Duration(ms) * time.Millisecond
	}
	return sum
}

// serving is the processor time of all servers so far.
func (r *race) serving(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, c := range r.sites {
		for _, n := range c.Nodes() {
			raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.PID()), "stat"))
			must(b, err)
			_, rest, _ := strings.Cut(string(raw), ") ")
			fields := strings.Fields(rest)
			user, err := strconv.Atoi(fields[11])
			must(b, err)
			system, err := strconv.Atoi(fields[12])
			must(b, err)
			sum += time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	return sum
}

// own is the processor time of this process so far.
func own(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tally counts calls by their names.
type tally map[string]float64

func (t tally) sum() float64 {
	var n float64
	for _, calls := range t {
		n += calls
	}
	return n
}

// since gives what was added to an earlier count.
func (t tally) since(earlier tally) tally {
	out := tally{}
	for name, n := range t {
		if n > earlier[name] {
			out[name] = n - earlier[name]
		}
	}
	return out
}

// String gives the calls, the most frequent first.
func (t tally) String() string {
	names := slices.SortedFunc(maps.Keys(t), func(a, b string) int { return int(t[b] - t[a]) })
	var all []string
	for _, name := range names[:min(len(names), 8)] {
		all = append(all, fmt.Sprintf("%s %.0f", name, t[name]))
	}
	return strings.Join(all, ", ")
}

// sent gives the calls that our clients have sent so far.
func (r *race) sent() int64 { return r.wires[0].Calls() + r.wires[1].Calls() }

// asked gives the calls that the NameNodes have served to clients so far, by their own metrics (RpcDetailedActivity).
func (r *race) asked(b *testing.B) tally {
	b.Helper()
	all := tally{}
	for i, c := range r.sites {
		for name, n := range asked(b, c, r.wires[i]) {
			all[name] += n
		}
	}
	return all
}

// asked gives those of one cluster, with all that was asked before: a call of ours must be in the count. What DataNodes say to
// their NameNode is left out, and so is that call.
func asked(b *testing.B, c *labhdfs.Cluster, client *wire.Client) tally {
	b.Helper()
	before := counted(b, c)[probeCall]
	_, err := client.SafeMode(b.Context())
	must(b, err)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if all := counted(b, c); all[probeCall] > before {
			delete(all, probeCall)
			return all
		}
		select {
		case <-tick.C:
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		}
	}
}

// probeCall is a call that nobody else makes.
const probeCall = "SetSafeMode"

// counted gives what the metrics show now.
func counted(b *testing.B, c *labhdfs.Cluster) tally {
	b.Helper()
	_, port, _ := strings.Cut(c.Addr(), ":")
	all := tally{}
	bean, err := labhdfs.JMX(b.Context(), c.HTTP(), "Hadoop:service=NameNode,name=RpcDetailedActivityForPort"+port)
	must(b, err)
	for name, value := range bean {
		n, ok := value.(float64)
		name, counts := strings.CutSuffix(name, "NumOps")
		if !ok || !counts || strings.HasPrefix(name, "Overall") || strings.HasSuffix(name, "Exception") || slices.Contains([]string{"SendHeartbeat", "BlockReceivedAndDeleted", "BlockReport", "RegisterDatanode", "VersionRequest"}, name) {
			continue
		}
		all[name] = n
	}
	return all
}

// most is how many bytes a set has whose copies stay until all contests are over. A file system without a journal (ext4 may be made so) does not
// give an inode out again within a minute of the removal of its file, and passes by all of those for each file that is made: after
// the removal of ten thousand small files, with their replicas and checksums, that was a quarter of the processor time of the next lap.
const most = 64 << 20

// clear leaves the next lap nothing of this one that it would have beside it: the machine has written what it still held, and of a large set the
// copy is removed.
func (r *race) clear(b *testing.B, s set, copied string) {
	b.Helper()
	if int64(s.files)*s.size > most {
		r.remove(b, copied)
	} else {
		r.kept = r.blocks(b)
	}
	syscall.Sync()
}

// remove removes a tree of the target, and waits until the DataNodes have removed its blocks from their disks.
func (r *race) remove(b *testing.B, path string) {
	b.Helper()
	must(b, r.wires[1].Delete(b.Context(), path, true))
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for r.blocks(b) > r.kept {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("%d blocks are left at the target, of which %d may stay", r.blocks(b), r.kept)
		}
	}
}

// blocks counts the blocks on the disks of the target.
func (r *race) blocks(b *testing.B) int {
	b.Helper()
	n := 0
	for number := range r.sites[1].DataAddrs() {
		n += blocksIn(b, r.sites[1].DataDir(number+1))
	}
	return n
}

// blocksIn counts the blocks on the disk of a DataNode.
func blocksIn(b *testing.B, dir string) int {
	b.Helper()
	n := 0
	must(b, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "blk_") {
			n++
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
	return n
}
