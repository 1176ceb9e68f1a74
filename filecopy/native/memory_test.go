package native

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

// generated is a source that makes its entries up: one small file after the other, a thousand in each directory.
type generated struct{ files int }

func (g generated) Describe() filecopy.Description {
	return filecopy.Description{Kind: "generated", Name: "generated", Capabilities: filecopy.Capabilities{Directories: true}}
}
func (g generated) CheckName(filecopy.Path) error { return nil }
func (g generated) Probe(context.Context) (filecopy.Root, error) {
	return filecopy.Root{Identity: "generated"}, nil
}
func (g generated) Open(context.Context, filecopy.Pin) (filecopy.View, error) { return g, nil }
func (g generated) Close() error                                              { return nil }

func (g generated) entry(i int) filecopy.Entry {
	return filecopy.Entry{Path: filecopy.Path(fmt.Sprintf("d%06d/f%09d", i/1000, i)), Kind: filecopy.File, Size: 10, Version: "1"}
}

func (g generated) List(_ context.Context, _ filecopy.Path, found func(filecopy.Entry) error) error {
	for i := range g.files {
		if i%1000 == 0 {
			if err := found(filecopy.Entry{Path: g.entry(i).Path.Dir(), Kind: filecopy.Directory}); err != nil {
				return err
			}
		}
		if err := found(g.entry(i)); err != nil {
			return err
		}
	}
	return nil
}

func (g generated) Stat(_ context.Context, p filecopy.Path) (filecopy.Entry, error) {
	return filecopy.Entry{Path: p, Kind: filecopy.Directory}, nil
}

func (g generated) Read(_ context.Context, e filecopy.Entry, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(e.Path[len(e.Path)-10:]))), nil
}

func (g generated) Sum(context.Context, filecopy.Entry) (filecopy.Checksum, error) {
	return filecopy.Checksum{}, filecopy.ErrUnsupported
}

// disk is a target of which only the manifest is real: the tree would cost more than the mover. Like local trees, HDFS and ADLS it has new
// directories put together out of sight.
type disk struct {
	filecopy.Target
	// live counts files that were published one by one, whole those in new directories, which shown counts.
	live, whole, shown, read atomic.Int64
}

func (d *disk) Assembly(lot string) (filecopy.Target, error) {
	to, err := d.Target.(filecopy.Assembler).Assembly(lot)
	return &hidden{to, d}, err
}

func (d *disk) Reveal(context.Context, string, filecopy.Path) error {
	d.shown.Add(1)
	return nil
}

// hidden is where new directories of a disk are put together.
type hidden struct {
	filecopy.Target
	of *disk
}

func (h *hidden) MakeDirectory(context.Context, filecopy.Entry) error { return nil }
func (h *hidden) Publish(context.Context, filecopy.Sealed, filecopy.Entry) (string, error) {
	h.of.whole.Add(1)
	return "v", nil
}

// Begin keeps the content of a generated file in its handle.
func (d *disk) Begin(_ context.Context, _ string, e filecopy.Entry) (filecopy.Handle, error) {
	return filecopy.Handle(e.Path[len(e.Path)-10:]), nil
}

func (d *disk) ReadSealed(_ context.Context, s filecopy.Sealed) (io.ReadCloser, error) {
	d.read.Add(1)
	return io.NopCloser(strings.NewReader(string(s.Handle))), nil
}
func (d *disk) Write(_ context.Context, _ filecopy.Handle, _ filecopy.Part, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
func (d *disk) Seal(_ context.Context, h filecopy.Handle, _ filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	return filecopy.Sealed{Handle: h, Identity: "i", Proof: filecopy.ProofServer, Sum: sum}, nil
}
func (d *disk) Publish(context.Context, filecopy.Sealed, filecopy.Entry) (string, error) {
	d.live.Add(1)
	return "v", nil
}
func (d *disk) MakeDirectory(context.Context, filecopy.Entry) error { return nil }
func (d *disk) SetAttributes(context.Context, filecopy.Path, filecopy.Attributes, filecopy.Fields) error {
	return nil
}

// peakHeap runs a job, and gives the set and the highest heap in use that was seen, in bytes.
func peakHeap(t *testing.T, job filecopy.Job) (filecopy.Set, uint64) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // as users have it, whatever GOGC says
	runtime.GC()
	var peak atomic.Uint64
	set, err := New(t.TempDir()).Run(t.Context(), job, func(filecopy.Progress) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapInuse))
	})
	if err != nil {
		t.Fatal(err)
	}
	return set, peak.Load()
}

// manyFiles copies as many generated files, all of them in new directories, and gives the highest heap in use.
func manyFiles(t *testing.T, files int) uint64 {
	t.Helper()
	target := &disk{Target: open(t, filepath.Join(t.TempDir(), "target"))}
	set, peak := peakHeap(t, filecopy.Job{Name: "many", Source: generated{files}, Target: target})
	if set.Files != int64(files) || target.whole.Load() != int64(files) || target.live.Load() != 0 || target.shown.Load() != int64(files+999)/1000 {
		t.Fatalf("set = %+v; %d files published in %d directories, %d by themselves", set, target.whole.Load(), target.shown.Load(), target.live.Load())
	}
	return peak
}

// resident gives the most memory that the process ever held in bytes, as Linux says it; zero elsewhere.
func resident() int64 {
	raw, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	n, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return n << 10
}

// What a run may need: that much more for ten times as many files, that much heap, and, of millions of files, that much memory of the process.
const (
	flatHeap    = 48 << 20
	mostHeap    = 200 << 20
	mostProcess = 300 << 20
)

// stayFlat holds the memory of two runs to the bounds, the second of ten times as many files as the first.
func stayFlat(t *testing.T, many int, few, most uint64) {
	t.Helper()
	process := resident()
	t.Logf("heap in use: %d MiB at %d files, %d MiB at %d files; the process took %d MiB at most", few>>20, many/10, most>>20, many, process>>20)
	if most > few+flatHeap || most > mostHeap {
		t.Errorf("heap in use grew from %d MiB to %d MiB", few>>20, most>>20)
	}
	if many >= 1_000_000 && process > mostProcess {
		t.Errorf("the process took %d MiB", process>>20)
	}
}

// wanted is how many files there are to be: UNDERSTUDY_FILES sets it, such as 10000000.
func wanted(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("UNDERSTUDY_FILES")); err == nil {
		return n
	}
	return otherwise
}

// TestMemoryIsFlat copies generated files, and ten times as many: the heap must not grow with them.
func TestMemoryIsFlat(t *testing.T) {
	many := wanted(50_000)
	stayFlat(t, many, manyFiles(t, many/10), manyFiles(t, many))
}

// TestMemoryIsFlatBetweenLocalTrees copies real files from one directory of the machine to another, and ten times as many.
func TestMemoryIsFlatBetweenLocalTrees(t *testing.T) {
	many := wanted(10_000)
	stayFlat(t, many, realFiles(t, many/10), realFiles(t, many))
}

// realFiles copies as many files of ten bytes, and gives the highest heap in use.
func realFiles(t *testing.T, files int) uint64 {
	t.Helper()
	p := newPair(t)
	from := generated{files}
	for i := range files {
		e := from.entry(i)
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Join(p.source, string(e.Path.Dir())), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(p.source, string(e.Path)), []byte(e.Path[len(e.Path)-10:]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, peak := peakHeap(t, p.job)
	last := string(from.entry(files - 1).Path)
	if set.Files != int64(files) || p.content(t, last) != last[len(last)-10:] {
		t.Errorf("set = %+v", set)
	}
	return peak
}
