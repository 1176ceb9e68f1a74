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

// disk is a target of which only the manifest is real: the tree would cost more than the mover.
type disk struct {
	filecopy.Target
	live, read atomic.Int64
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

// peakHeap runs a job and gives the highest heap in use that was seen, in bytes.
func peakHeap(t *testing.T, files int) uint64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // as users have it, whatever GOGC says
	runtime.GC()
	target := &disk{Target: open(t, filepath.Join(t.TempDir(), "target"))}
	job := filecopy.Job{Name: "many", Source: generated{files}, Target: target}
	var peak atomic.Uint64
	set, err := New(t.TempDir()).Run(t.Context(), job, func(filecopy.Progress) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapInuse))
	})
	if err != nil || set.Files != int64(files) || target.live.Load() != int64(files) {
		t.Fatalf("set = %+v, %v; %d published", set, err, target.live.Load())
	}
	return peak.Load()
}

// resident gives the most memory that the process ever held, as Linux says it.
func resident() string {
	raw, err := os.ReadFile("/proc/self/status")
	_, rest, ok := strings.Cut(string(raw), "VmHWM:")
	if err != nil || !ok {
		return "an unknown amount"
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// TestMemoryIsFlat copies generated files, and ten times as many: the heap must not grow with them. UNDERSTUDY_FILES sets the
// larger number, such as 10000000.
func TestMemoryIsFlat(t *testing.T) {
	many := 50_000
	if n, err := strconv.Atoi(os.Getenv("UNDERSTUDY_FILES")); err == nil {
		many = n
	}
	few := peakHeap(t, many/10)
	most := peakHeap(t, many)
	t.Logf("heap in use: %d MiB at %d files, %d MiB at %d files; the process took %s at most", few>>20, many/10, most>>20, many, resident())
	const flat, ceiling = 48 << 20, 200 << 20
	if most > few+flat || most > ceiling {
		t.Errorf("heap in use grew from %d MiB to %d MiB", few>>20, most>>20)
	}
}
