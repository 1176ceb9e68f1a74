package scenery

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"sync"
	"sync/atomic"
)

// ErrAbsent is what a reading gives of a path that is not there.
var ErrAbsent = errors.New("scenery: not there")

// Watch reads a tree as others do, path after path and without pause, and writes down what it sees. Course says afterwards what of it was wrong:
// a reader cannot know while it reads which sets there will have been.
type Watch struct {
	paths []string
	read  func(ctx context.Context, path string) (string, error)
	stop  context.CancelFunc
	all   sync.WaitGroup
	shown atomic.Int64
	seen  [][]sight
	fault []error
	// begins are the first bytes of contents, by digest, to tell what was wrong.
	begins sync.Map
}

// sight is what one reading gave: the digest of a content, or nothing. shown is the set that was there whole when the reading began.
type sight struct {
	path, shown int
	digest      string
}

// Digest names a content.
func Digest(content string) string {
	return fmt.Sprintf("%d bytes with sum %016x", len(content), crc64.Checksum([]byte(content), crc64.MakeTable(crc64.ECMA)))
}

// Look starts readers side by side. A path that is not there gives ErrAbsent; any other error ends its reader, and is a fault.
// A reading has to go on by itself where a file was replaced while it was open.
func Look(readers int, paths []string, read func(ctx context.Context, path string) (string, error)) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{paths: paths, read: read, stop: cancel, seen: make([][]sight, readers), fault: make([]error, readers)}
	for n := range readers {
		w.all.Go(func() {
			// Each begins elsewhere.
			for i := n * len(paths) / readers; w.look(ctx, n, i%len(paths)); i++ {
			}
		})
	}
	return w
}

// look reads one path, and says whether to go on.
func (w *Watch) look(ctx context.Context, reader, i int) bool {
	s := sight{path: i, shown: int(w.shown.Load())}
	got, err := w.read(ctx, w.paths[i])
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		s.digest = Digest(got)
		if _, ok := w.begins.Load(s.digest); !ok {
			w.begins.Store(s.digest, got[:min(40, len(got))])
		}
	case !errors.Is(err, ErrAbsent):
		w.fault[reader] = fmt.Errorf("%s: %w", w.paths[i], err)
		return false
	}
	w.seen[reader] = append(w.seen[reader], s)
	return true
}

// Shown says that a set, by its place in the course, is there whole: who begins to read from now on sees nothing older.
func (w *Watch) Shown(set int) { w.shown.Store(int64(set)) }

// Stop ends the readers, and gives how often they read.
func (w *Watch) Stop() (reads int) {
	w.stop()
	w.all.Wait()
	for _, s := range w.seen {
		reads += len(s)
	}
	return reads
}

// begin tells how a content begins that was seen.
func (w *Watch) begin(digest string) string {
	begin, ok := w.begins.Load(digest)
	if !ok {
		return ""
	}
	return fmt.Sprintf(", %q", begin)
}
