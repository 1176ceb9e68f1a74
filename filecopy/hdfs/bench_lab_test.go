package hdfs_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// rival is another way to copy a tree between two clusters.
type rival struct {
	name string
	copy func(r *race, b *testing.B, s set) lap
}

// set is a tree of files of one size.
type set struct {
	name  string
	files int
	size  int64
}

func (s set) root() string { return "/" + s.name }

// challenge is a rival, and the least that we want to be faster than it; cheaper says that we must not take more processor time.
type challenge struct {
	rival
	least   float64
	cheaper bool
}

// contest is a set that all copy in turn.
type contest struct {
	set
	challenges []challenge
	// minutes bound the contest where nobody said how many rounds: none but the first begins that would probably end after them.
	minutes time.Duration
}

// contests are all of them. DistCp at its default settings waits 400 ms at nearly every file, so that the whole of the small sets would
// take a quarter of an hour a round: it copies a part of them, and so do we. UNDERSTUDY_BENCH_WHOLE=1 wants the whole ones.
func contests() []contest {
	mid, many, large := set{"1000x1MiB", 1000, 1 << 20}, set{"10000x4KiB", 10_000, 4 << 10}, set{"4x512MiB", 4, 512 << 20}
	someMid, someMany := set{"200x1MiB", 200, 1 << 20}, set{"500x4KiB", 500, 4 << 10}
	if wanted("UNDERSTUDY_BENCH_WHOLE", 0) > 0 {
		someMid, someMany = mid, many
	}
	return []contest{
		{mid, []challenge{{tuned(), 3, true}}, 3},
		{someMid, []challenge{{untouched(), 8, true}}, 4},
		{many, []challenge{{tuned(), 3, true}}, 7},
		{someMany, []challenge{{untouched(), 7, true}}, 4},
		{large, []challenge{{tuned(), 1.5, true}, {untouched(), 2, true}, {rival{"bare loop", (*race).loop}, 0.9, false}}, 5},
	}
}

// rivals gives those of some challenges.
func rivals(all []challenge) []rival {
	var out []rival
	for _, c := range all {
		out = append(out, c.rival)
	}
	return out
}

// tuned is DistCp as somebody tunes it who knows where it waits: many maps, no temporary files, and a short wait for the last block of
// a file, with as much patience as before.
func tuned() rival {
	return rival{"DistCp tuned", func(r *race, b *testing.B, s set) lap {
		return r.distcp(b, s, labhdfs.DistCp{Maps: 16, Args: []string{"-m", "16", "-direct"}, Properties: map[string]string{
			"dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "5",
			"dfs.client.block.write.locateFollowingBlock.retries":          "12",
		}})
	}}
}

// untouched is DistCp as it is. Of its twenty maps four run side by side, as on a cluster with room for as many.
func untouched() rival {
	return rival{"DistCp default", func(r *race, b *testing.B, s set) lap { return r.distcp(b, s, labhdfs.DistCp{Maps: 4}) }}
}

// BenchmarkBesideDistCp copies the same trees between the same two clusters by the native mover and by its rivals, in turn. Our time is
// that of a whole run: snapshot, listing, copying, proof and publishing. DistCp's leaves the start of its JVM out, and it copies fewer
// attributes. Processor time counts the copier and all servers. -bench 'BesideDistCp/4x512MiB' runs a part.
func BenchmarkBesideDistCp(b *testing.B) {
	r := newRace(b)
	var rows []row
	for _, c := range contests() {
		b.Run(c.name, func(b *testing.B) { rows = append(rows, r.compare(b, c)...) })
	}
	if len(rows) > 0 {
		fmt.Fprint(b.Output(), table(rows))
	}
}

// round is one lap of each, one after the other.
type round struct{ ours, theirs lap }

// row is what came of a contest with one rival.
type row struct {
	set
	challenge
	rounds []round
}

// warm copies until the servers have compiled what runs often, three times at most, and once where that takes long. What they compile is in
// nobody's account then: in the first copies it is more than all else that they do.
func (r *race) warm(b *testing.B, s set) {
	b.Helper()
	for range mostWarm {
		l := r.ours(b, s)
		fmt.Fprintf(os.Stderr, "%s: to warm the servers %v\n", s.name, l)
		if s.files >= manyFiles || l.compiled < l.took/8 {
			return
		}
	}
}

const (
	// mostWarm is how many copies that are not counted there are at most; a set of manyFiles has one, and none where others came before it.
	mostWarm  = 3
	manyFiles = 5000
)

// compare lets all copy in turn, and each round another one begins: what one leaves for the machine to do, the next one has beside it.
func (r *race) compare(b *testing.B, c contest) []row {
	began := time.Now()
	r.fill(b, c.set)
	if r.runs == 0 || c.files < manyFiles {
		r.warm(b, c.set)
	}
	var rows []row
	for _, rival := range c.challenges {
		rows = append(rows, row{set: c.set, challenge: rival})
	}
	all := append([]rival{{"ours", (*race).ours}}, rivals(c.challenges)...)
	first := time.Now()
	_, said := os.LookupEnv("UNDERSTUDY_BENCH_ROUNDS")
	for i := range wanted("UNDERSTUDY_BENCH_ROUNDS", 3) {
		if each := time.Since(first) / time.Duration(max(i, 1)); !said && i > 0 && time.Since(began)+each > c.minutes*time.Minute {
			break
		}
		laps := make([]lap, len(all))
		for turn := range all {
			who := (turn + i) % len(all)
			laps[who] = all[who].copy(r, b, c.set)
			fmt.Fprintf(os.Stderr, "%s: %s %v\n", c.name, all[who].name, laps[who])
		}
		for at := range rows {
			rows[at].rounds = append(rows[at].rounds, round{laps[0], laps[at+1]})
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, w := range rows {
		b.ReportMetric(middle(w.faster()), "x-faster-than-"+strings.ReplaceAll(w.rival.name, " ", "-"))
	}
	b.ReportMetric(middle(rows[0].calls()), "calls/file")
	return rows
}

// ours copies a tree by the mover.
func (r *race) ours(b *testing.B, s set) lap {
	b.Helper()
	r.runs++
	to := fmt.Sprintf("/ours%d/tree", r.runs)
	source, err := hdfs.New(hdfs.Config{Client: r.wires[0], Namespace: "east", Root: s.root(), Snapshots: true})
	must(b, err)
	target, err := hdfs.New(hdfs.Config{Client: r.wires[1], Namespace: "west", Root: to})
	must(b, err)
	job := filecopy.Job{Name: fmt.Sprintf("bench%d", r.runs), Source: source, Target: target}
	mover := native.New(b.TempDir())
	l := r.time(b, s, func() {
		_, err := mover.Run(b.Context(), job, nil)
		must(b, err)
	})
	r.clear(b, s, path.Dir(to))
	return l
}

// distcp copies it by DistCp, keeping owner, group, mode, block size and times.
func (r *race) distcp(b *testing.B, s set, run labhdfs.DistCp) lap {
	b.Helper()
	r.runs++
	to := fmt.Sprintf("/theirs%d", r.runs)
	run.Dir, run.Access, run.Optimise = b.TempDir(), r.sites[1].Access(), true
	run.Args = append(slices.Clone(run.Args), "-prugpbt", "hdfs://"+r.sites[0].Addr()+s.root(), "hdfs://"+r.sites[1].Addr()+to)
	var result labhdfs.DistCpResult
	l := r.time(b, s, func() {
		var err error
		result, err = run.Run(b.Context())
		if err != nil || result.Status != 0 {
			b.Fatalf("distcp: status %d, %v; see %s", result.Status, err, result.Log)
		}
	})
	l.took, l.copier = result.Took, result.CPU
	r.clear(b, s, to)
	return l
}

// loop copies the files side by side by the client alone: each packet of a reader goes on to a writer as it came. Nothing is listed,
// proven, named or published; so it is about the most that these DataNodes give.
func (r *race) loop(b *testing.B, s set) lap {
	b.Helper()
	r.runs++
	to := fmt.Sprintf("/loop%d", r.runs)
	l := r.time(b, s, func() {
		var g errgroup.Group
		for i := range s.files {
			g.Go(func() error { return r.relay(b, s.file(i), fmt.Sprintf("%s/f%d", to, i)) })
		}
		must(b, g.Wait())
	})
	r.clear(b, s, to)
	return l
}

// relay copies one file.
func (r *race) relay(b *testing.B, from, to string) error {
	in, err := r.wires[0].Open(b.Context(), from)
	if err != nil {
		return err
	}
	out, err := r.wires[1].Create(b.Context(), to, wire.CreateOptions{Parents: true})
	if err != nil {
		return errors.Join(err, in.Close())
	}
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			return errors.Join(out.Close(), in.Close())
		}
		if err == nil {
			err = out.WritePacket(p)
		}
		if err != nil {
			return errors.Join(err, out.Abort(), in.Close())
		}
	}
}

// file is the path of a file of a set; there are a hundred in each folder.
func (s set) file(i int) string { return filepath.Join(s.root(), fmt.Sprintf("d%d/f%d", i/100, i)) }
