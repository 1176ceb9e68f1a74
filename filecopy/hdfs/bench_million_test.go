package hdfs_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// shelf is a target on HDFS of which only the mover's own files are real: a million empty files of its own would take a quarter of an
// hour to make, and an increment does not touch those that did not change.
type shelf struct{ *hdfs.Store }

func (shelf) Begin(context.Context, string, filecopy.Entry) (filecopy.Handle, error) { return "h", nil }
func (shelf) Write(_ context.Context, _ filecopy.Handle, _ filecopy.Part, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
func (shelf) Seal(_ context.Context, h filecopy.Handle, _ filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	return filecopy.Sealed{Handle: h, Identity: "i", Proof: filecopy.ProofServer, Sum: sum}, nil
}
func (shelf) Publish(context.Context, filecopy.Sealed, filecopy.Entry) (string, error) {
	return "v", nil
}

// Assembly gives the shelf: nobody sees what is put there.
func (s shelf) Assembly(string) (filecopy.Target, error)          { return s, nil }
func (shelf) Reveal(context.Context, string, filecopy.Path) error { return nil }
func (shelf) MakeDirectory(context.Context, filecopy.Entry) error { return nil }
func (shelf) SetAttributes(context.Context, filecopy.Path, filecopy.Attributes, filecopy.Fields) error {
	return nil
}

// million is a tree of a million empty files, in a thousand directories.
type million struct {
	*testing.B
	race   *race
	source *hdfs.Store
	job    filecopy.Job
	mover  filecopy.Mover
	made   int
	// directories are how many there are.
	directories int
}

const (
	millionRoot   = "/million"
	perDirectory  = 1000
	millionHeapMB = 1024
)

func newMillion(b *testing.B) *million {
	b.Helper()
	m := &million{B: b, race: &race{}, mover: native.New(b.TempDir()), directories: wanted("UNDERSTUDY_BENCH_DIRECTORIES", 1000)}
	for i, c := range labhdfs.BootAll(b, labhdfs.Options{Name: "east", Optimise: true, HeapMB: millionHeapMB}, labhdfs.Options{Name: "west", Optimise: true}) {
		if i == 0 {
			must(b, c.Plant(b.Context(), labhdfs.Plantation{Root: millionRoot, Directories: m.directories, Files: perDirectory}))
		}
		client, err := wire.Dial(b.Context(), wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser})
		must(b, err)
		b.Cleanup(client.Close)
		m.race.sites[i], m.race.wires[i] = c, client
	}
	must(b, m.race.wires[0].AllowSnapshots(b.Context(), millionRoot))
	var err error
	m.source, err = hdfs.New(hdfs.Config{Client: m.race.wires[0], Namespace: "east", Root: millionRoot, Snapshots: true, NoXattrs: true})
	must(b, err)
	target, err := hdfs.New(hdfs.Config{Client: m.race.wires[1], Namespace: "west", Root: "/copy/tree", NoXattrs: true})
	must(b, err)
	m.job = filecopy.Job{Name: "million", Source: m.source, Target: shelf{target}}
	return m
}

// BenchmarkMillion lists a tree of a million empty files, and makes sets of it: the first one, and then increments without a change and
// with few. The NameNode begins with the tree in its image.
func BenchmarkMillion(b *testing.B) {
	m := newMillion(b)
	var lines []string
	b.Run("listing", func(b *testing.B) { m.B = b; lines = append(lines, m.listing()...) })
	b.Run("increment", func(b *testing.B) { m.B = b; lines = append(lines, m.increments()...) })
	fmt.Fprintf(b.Output(), "\n| what | measured | wanted |\n|---|---|---|\n%s\n", strings.Join(lines, ""))
}

// listing gives the entries a second of the mover's own listing: of all, and, of some of the directories, with their extended attributes, which
// no listing of HDFS tells and which cost a call for each entry.
func (m *million) listing() []string {
	entries, rates := m.rates(m.source, "")
	dressed, err := hdfs.New(hdfs.Config{Client: m.race.wires[0], Namespace: "east", Root: millionRoot, Snapshots: true})
	must(m, err)
	var some []filecopy.Path
	for i := range min(m.directories, 100) {
		some = append(some, filecopy.Path(fmt.Sprintf("d%05d", i)))
	}
	few, slower := m.rates(dressed, some...)
	m.ReportMetric(0, "ns/op")
	m.ReportMetric(middle(rates), "entries/s")
	return []string{
		fmt.Sprintf("| listing of %d entries, entries a second | %s | ≥ 50,000 |\n", entries, spreadOf(rates)),
		fmt.Sprintf("| listing of %d entries with their extended attributes, entries a second | %s | |\n", few, spreadOf(slower)),
	}
}

// rates lists directories, and gives how many entries they have and how many were listed a second.
func (m *million) rates(source *hdfs.Store, directories ...filecopy.Path) (entries int, rates []float64) {
	v, err := source.Open(m.Context(), filecopy.Pin{})
	must(m, err)
	defer v.Close()
	for range wanted("UNDERSTUDY_BENCH_ROUNDS", 3) {
		entries = 0
		began := time.Now()
		for _, d := range directories {
			must(m, v.List(m.Context(), d, func(filecopy.Entry) error { entries++; return nil }))
		}
		rates = append(rates, float64(entries)/time.Since(began).Seconds())
	}
	return entries, rates
}

// increments makes sets.
func (m *million) increments() []string {
	first, _, set := m.set()
	lines := []string{fmt.Sprintf("| first set of %d files | %.1f s | |\n", set.Files, first.Seconds())}
	var took []float64
	var calls tally
	for range wanted("UNDERSTUDY_BENCH_ROUNDS", 3) {
		d, asked, set := m.set()
		if set.Copied != 0 {
			m.Fatalf("%d files were copied of a tree that did not change", set.Copied)
		}
		took, calls = append(took, d.Seconds()), asked
	}
	lines = append(lines,
		fmt.Sprintf("| increment without a change, seconds | %s | < 2 |\n", spreadOf(took)),
		fmt.Sprintf("| its calls to both NameNodes | %.0f: %v | O(changes) |\n", calls.sum(), calls))
	for _, changes := range []int{10, 100, 1000} {
		m.change(changes)
		d, asked, set := m.set()
		if set.Copied != int64(changes) {
			m.Fatalf("%d files were copied of %d that changed", set.Copied, changes)
		}
		lines = append(lines, fmt.Sprintf("| increment of %d new files in as many directories | %.2f s, %.0f calls | O(changes) |\n", changes, d.Seconds(), asked.sum()))
	}
	m.ReportMetric(0, "ns/op")
	m.ReportMetric(middle(took), "s")
	m.ReportMetric(calls.sum(), "calls")
	return lines
}

// set makes one set, and gives its time and the calls to both NameNodes.
func (m *million) set() (time.Duration, tally, filecopy.Set) {
	before := m.race.asked(m.B)
	began := time.Now()
	phase := filecopy.PhasePlan
	set, err := m.mover.Run(m.Context(), m.job, func(p filecopy.Progress) {
		if p.Phase != phase {
			fmt.Fprintf(os.Stderr, "%s at %v\n", p.Phase, time.Since(began).Round(time.Millisecond))
			phase = p.Phase
		}
	})
	must(m, err)
	return time.Since(began), m.race.asked(m.B).since(before), set
}

// change makes as many new files, each in another directory where there are enough.
func (m *million) change(n int) {
	for i := range n {
		m.made++
		w, err := m.race.wires[0].Create(m.Context(), fmt.Sprintf("%s/d%05d/new%d", millionRoot, i%m.directories, m.made), wire.CreateOptions{})
		must(m, err)
		must(m, w.Close())
	}
}
