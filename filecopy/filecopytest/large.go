package filecopytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// inFlight is how many parts of one file a mover sends side by side at most.
	inFlight = 4
	// wireShare and wireMore are what a way carries beside the bytes of files: heads and checksums of packets, and what is kept.
	wireShare = 20
	wireMore  = 1 << 20
)

// Large is a file of many parts, and a mover between a local tree and a store that is killed -9 in the middle of it. The store's test has a
// TestLargeChild that calls Child with it: that is the process that is killed.
type Large struct {
	// Size is the file's, in bytes.
	Size int64
	// Kill is how many parts are begun when the mover is killed.
	Kill int
	// Run copies dir/source to the store at an address, with dir/mover as the mover's, by the target that through makes of it.
	Run func(ctx context.Context, dir, at string, through func(filecopy.Target) filecopy.Target) (filecopy.Set, error)
}

// largeName is the file.
const largeName = "d/large"

// Child runs the mover that is killed; on its own it does nothing.
func (l Large) Child(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	_, err := l.Run(context.Background(), dir, os.Getenv(killAt), func(to filecopy.Target) filecopy.Target {
		return (&parts{say: func() { fmt.Println("part") }}).over(to)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// GoesOn has a mover killed that goes to the store at an address, and the next one, at another address, go on: it sends what is missing and no more.
// Seen is the tree as others see it. Carried counts the bytes that went to the store by the other address; nil where none is to be had.
func (l Large) GoesOn(t *testing.T, dir, at, next string, seen filecopy.Target, carried func() int64) {
	t.Helper()
	sum := l.make(t, filepath.Join(dir, "source", largeName))
	l.kill(t, dir, at)
	view, err := seen.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if _, err := view.Stat(t.Context(), largeName); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("a file of which a part is staged is seen: %v", err)
	}
	if carried == nil {
		carried = func() int64 { return 0 }
	}
	counted, before := &parts{say: func() {}}, carried()
	set, err := l.Run(t.Context(), dir, next, counted.over)
	if err != nil || set.Files != 1 || set.Bytes != l.Size {
		t.Fatalf("set = %+v, %v", set, err)
	}
	sent, went := counted.bytes.Load(), carried()-before
	can := seen.Describe().Capabilities
	step, open := can.PartSize(l.Size), int64(inFlight)
	if can.OrderedParts {
		open = 1
	}
	t.Logf("killed when %d of %d parts were begun; then %d of %d bytes were sent, and %d went by", l.Kill, (l.Size+step-1)/step, sent, l.Size, went)
	if most := l.Size - (int64(l.Kill)-open)*step; sent > most || sent <= 0 {
		t.Errorf("%d bytes were sent, %d could be missing at most", sent, most)
	}
	if went != 0 && (went < sent || went > sent+sent/wireShare+wireMore) {
		t.Errorf("%d bytes went by, where %d were to be sent", went, sent)
	}
	l.arrived(t, view, sum)
}

// make makes the file, of random bytes, and gives what it sums to.
func (l Large) make(t *testing.T, path string) filecopy.Checksum {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	var f *os.File
	if err == nil {
		f, err = os.Create(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, buffer, random := filecopy.SumOf(0), make([]byte, 1<<20), rand.NewChaCha8([32]byte{1})
	for left := l.Size; left > 0 && err == nil; left -= int64(len(buffer)) {
		buffer = buffer[:min(left, int64(len(buffer)))]
		_, _ = random.Read(buffer)
		sum = sum.Extend(buffer)
		_, err = f.Write(buffer)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return sum
}

// kill runs the child until it has begun enough parts.
func (l Large) kill(t *testing.T, dir, at string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestLargeChild$")
	child.Env = append(os.Environ(), killDir+"="+dir, killAt+"="+at)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, begun := bufio.NewScanner(out), 0
	for begun < l.Kill && lines.Scan() {
		if lines.Text() == "part" {
			begun++
		}
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
	if begun < l.Kill {
		t.Fatalf("the mover ended when %d parts were begun", begun)
	}
}

// arrived reads the file as others do.
func (l Large) arrived(t *testing.T, view filecopy.View, want filecopy.Checksum) {
	t.Helper()
	e, err := view.Stat(t.Context(), largeName)
	if err != nil || e.Size != l.Size {
		t.Fatalf("the file is %+v, %v", e, err)
	}
	r, err := view.Read(t.Context(), e, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := summing(filecopy.SumOf(0))
	if _, err = io.Copy(&got, r); errors.Join(err, r.Close()) != nil || filecopy.Checksum(got) != want {
		t.Errorf("it arrived as %v, %v, want %v", filecopy.Checksum(got), err, want)
	}
}

// summing is a checksum that grows as it is written to.
type summing filecopy.Checksum

func (s *summing) Write(p []byte) (int, error) {
	*s = summing(filecopy.Checksum(*s).Extend(p))
	return len(p), nil
}

// parts says when a part is begun at a target, and counts the bytes.
type parts struct {
	say   func()
	bytes atomic.Int64
}

// over puts it before a target.
func (p *parts) over(to filecopy.Target) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, _ bool) filecopy.Target { return &counting{to, p} }, nil)
}

type counting struct {
	filecopy.Target
	by *parts
}

func (c *counting) Write(ctx context.Context, h filecopy.Handle, part filecopy.Part, r io.Reader) error {
	c.by.say()
	c.by.bytes.Add(part.Size)
	return c.Target.Write(ctx, h, part, r)
}
