package hdfs_test

import (
	"context"
	"fmt"
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

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// benchRounds is how many times both sides copy a set; UNDERSTUDY_BENCH_ROUNDS says another number, and UNDERSTUDY_BENCH_ONLY a part of
// the names of those that run.
const benchRounds = 3

// rival is one way to run DistCp.
type rival struct {
	name       string
	maps       int
	args       []string
	properties map[string]string
	rounds     int
}

// rivals are DistCp as it is, and as somebody tunes it who knows where it waits: many maps, no temporary files, and a short wait for
// the last block of a file, with as much patience as before.
func rivals() []rival {
	rounds := benchRounds
	if n, err := strconv.Atoi(os.Getenv("UNDERSTUDY_BENCH_ROUNDS")); err == nil {
		rounds = n
	}
	return []rival{
		{name: "tuned", maps: 16, args: []string{"-m", "16", "-direct"}, rounds: rounds, properties: map[string]string{
			"dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "5",
			"dfs.client.block.write.locateFollowingBlock.retries":          "12",
		}},
		{name: "default", maps: 4, rounds: 1},
	}
}

// BenchmarkBesideDistCp copies the same trees between the same two clusters by the native mover and by Hadoop's own DistCp, in turn. Our
// time is that of a whole run: snapshot, listing, copying, proof and publishing. DistCp's leaves the start of its JVM out, and it copies
// fewer attributes. Processor time counts the copier and all servers.
func BenchmarkBesideDistCp(b *testing.B) {
	race := newRace(b)
	only := os.Getenv("UNDERSTUDY_BENCH_ONLY")
	for _, set := range []struct {
		name  string
		files int
		size  int64
	}{{"1000x1MiB", 1000, 1 << 20}, {"4x512MiB", 4, 512 << 20}, {"10000x4KiB", 10_000, 4 << 10}} {
		wanted := slices.DeleteFunc(rivals(), func(r rival) bool { return !strings.Contains(set.name+"/"+r.name, only) })
		if len(wanted) > 0 {
			race.fill(b, set.name, set.files, set.size)
		}
		for _, r := range wanted {
			b.Run(set.name+"/"+r.name, func(b *testing.B) { race.compare(b, set.name, r) })
		}
	}
}

// race is two clusters.
type race struct {
	sites [2]*labhdfs.Cluster
	wires [2]*wire.Client
	runs  int
}

func newRace(b *testing.B) *race {
	b.Helper()
	r := &race{}
	for i, c := range labhdfs.BootAll(b, labhdfs.Options{Name: "east", Optimise: true, HeapMB: 512}, labhdfs.Options{Name: "west", Optimise: true, HeapMB: 512}) {
		client, err := wire.Dial(b.Context(), wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(client.Close)
		r.sites[i], r.wires[i] = c, client
	}
	return r
}

// fill writes a tree at the source, in folders of a hundred.
func (r *race) fill(b *testing.B, name string, files int, size int64) {
	b.Helper()
	root := "/" + name
	block := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(block)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range files {
		g.Go(func() error {
			w, err := r.wires[0].Create(b.Context(), fmt.Sprintf("%s/d%d/f%d", root, i/100, i), wire.CreateOptions{Parents: true})
			if err != nil {
				return err
			}
			for left := size; left > 0; left -= int64(len(block)) {
				if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
					return err
				}
			}
			return w.Close()
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := r.wires[0].AllowSnapshots(b.Context(), root); err != nil {
		b.Fatal(err)
	}
}

// lap is one copy.
type lap struct {
	took   time.Duration
	copier time.Duration
	server time.Duration
}

func (l lap) cpu() time.Duration { return l.copier + l.server }

// serving is the processor time of all servers so far.
func (r *race) serving(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, c := range r.sites {
		for _, n := range c.Nodes() {
			raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.PID()), "stat"))
			if err != nil {
				b.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(raw), ") ")
			fields := strings.Fields(rest)
			user, err := strconv.Atoi(fields[11])
			system, err2 := strconv.Atoi(fields[12])
			if err != nil || err2 != nil {
				b.Fatal(err, err2)
			}
			sum += time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	return sum
}

// own is the processor time of this process so far.
func own(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ours copies a tree by the mover, and gives the calls to the NameNodes for each file.
func (r *race) ours(b *testing.B, name string) (lap, float64) {
	b.Helper()
	r.runs++
	to := fmt.Sprintf("/ours%d/tree", r.runs)
	source, err := hdfs.New(hdfs.Config{Client: r.wires[0], Namespace: "east", Root: "/" + name, Snapshots: true})
	if err != nil {
		b.Fatal(err)
	}
	target, err := hdfs.New(hdfs.Config{Client: r.wires[1], Namespace: "west", Root: to})
	if err != nil {
		b.Fatal(err)
	}
	job := filecopy.Job{Name: fmt.Sprintf("bench%d", r.runs), Source: source, Target: target}
	began, used, served, calls := time.Now(), own(b), r.serving(b), r.wires[1].Calls()
	set, err := native.New(b.TempDir()).Run(b.Context(), job, nil)
	if err != nil {
		b.Fatal(err)
	}
	l := lap{time.Since(began), own(b) - used, r.serving(b) - served}
	perFile := float64(r.wires[1].Calls()-calls) / float64(set.Files)
	r.remove(b, filepath.Dir(to))
	return l, perFile
}

// theirs copies it by DistCp, keeping owner, group, mode, block size and times.
func (r *race) theirs(b *testing.B, name string, how rival) lap {
	b.Helper()
	r.runs++
	to := fmt.Sprintf("/theirs%d", r.runs)
	run := labhdfs.DistCp{Dir: b.TempDir(), Access: r.sites[1].Access(), Maps: how.maps, Properties: how.properties}
	run.Args = append(slices.Clone(how.args), "-prugpbt", "hdfs://"+r.sites[0].Addr()+"/"+name, "hdfs://"+r.sites[1].Addr()+to)
	served := r.serving(b)
	result, err := run.Run(b.Context())
	if err != nil || result.Status != 0 {
		b.Fatalf("distcp: status %d, %v; see %s", result.Status, err, result.Log)
	}
	l := lap{result.Took, result.CPU, r.serving(b) - served}
	r.remove(b, to)
	return l
}

// remove removes a tree of the target, and waits until its blocks are gone: their removal would disturb the next lap.
func (r *race) remove(b *testing.B, path string) {
	b.Helper()
	if err := r.wires[1].Delete(b.Context(), path, true); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		bean, err := labhdfs.JMX(ctx, r.sites[1].HTTP(), "Hadoop:service=NameNode,name=FSNamesystem")
		if err != nil {
			b.Fatal(err)
		}
		if pending, ok := bean["PendingDeletionBlocks"].(float64); ok && pending == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// compare lets both copy in turn; a first copy that is not counted warms the servers.
func (r *race) compare(b *testing.B, name string, how rival) {
	r.ours(b, name)
	var faster, cheaper, seconds, calls []float64
	for range how.rounds {
		ours, perFile := r.ours(b, name)
		theirs := r.theirs(b, name, how)
		faster = append(faster, theirs.took.Seconds()/ours.took.Seconds())
		cheaper = append(cheaper, theirs.cpu().Seconds()/ours.cpu().Seconds())
		seconds, calls = append(seconds, ours.took.Seconds()), append(calls, perFile)
		fmt.Fprintf(b.Output(), "%s: ours %.1f s (CPU %.1f + %.1f s, %.1f calls a file at the target), DistCp 3.4.1 %s %.1f s (CPU %.1f + %.1f s): %.1f times faster, %.1f times less CPU\n",
			name, ours.took.Seconds(), ours.copier.Seconds(), ours.server.Seconds(), perFile, how.name,
			theirs.took.Seconds(), theirs.copier.Seconds(), theirs.server.Seconds(), faster[len(faster)-1], cheaper[len(cheaper)-1])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(seconds), "s")
	b.ReportMetric(middle(faster), "x-faster")
	b.ReportMetric(middle(cheaper), "x-less-cpu")
	b.ReportMetric(middle(calls), "calls/file")
}

// middle gives the median.
func middle(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
