package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// hotFiles are read at the target again and again; each is its version's number over and over.
const (
	hotFiles = 4
	hotSize  = 16 << 10
)

func hotName(i int) string { return fmt.Sprintf("hot/f%d", i) }

// hot makes one version of the hot files.
func (g *grove) hot(version int) []hdfs.File {
	var all []hdfs.File
	for i := range hotFiles {
		all = append(all, hdfs.File{Path: g.root + "/" + hotName(i), Data: bytes.Repeat([]byte(fmt.Sprintf("%08d", version)), hotSize/8)})
	}
	return all
}

// glance is how long a reader waits between two reads. Without any pause it would take a processor from those whom it watches.
const glance = 20 * time.Millisecond

// watcher reads the hot files of a cluster in turn: each is whole, old or new, never absent, and never goes back.
type watcher struct {
	mu   sync.Mutex
	last [hotFiles]int
	// newest is the highest version that was seen, fresh is told of each.
	newest int
	fresh  chan int
	reads  int
	wrong  []string
	stop   context.CancelFunc
	done   chan struct{}
}

// watch starts the reading of a cluster; the files are there in the given version.
func (g *grove) watch(c *hdfs.Cluster, version int) *watcher {
	return g.watchBy(version, func(ctx context.Context, name string) ([]byte, error) {
		return g.judge.Read(ctx, c.Access(), g.root+"/"+name)
	})
}

// watchBy does so by any client.
func (g *grove) watchBy(version int, read func(ctx context.Context, name string) ([]byte, error)) *watcher {
	ctx, cancel := context.WithCancel(g.t.Context())
	w := &watcher{newest: version, fresh: make(chan int, 1000), stop: cancel, done: make(chan struct{})}
	for i := range w.last {
		w.last[i] = version
	}
	go func() {
		defer close(w.done)
		pause := time.NewTicker(glance)
		defer pause.Stop()
		for i := 0; ; i = (i + 1) % hotFiles {
			b, err := read(ctx, hotName(i))
			if ctx.Err() != nil {
				return
			}
			w.saw(i, b, err)
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}

// saw takes what one read gave.
func (w *watcher) saw(i int, b []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	version := 0
	if err == nil && len(b) == hotSize {
		_, err = fmt.Sscanf(string(b[:8]), "%d", &version)
	}
	switch {
	case err != nil:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: %v", hotName(i), err))
	case !bytes.Equal(b, bytes.Repeat(b[:min(8, len(b))], hotSize/8)):
		w.wrong = append(w.wrong, fmt.Sprintf("%s: %d bytes, not whole", hotName(i), len(b)))
	case version < w.last[i]:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: version %d after %d", hotName(i), version, w.last[i]))
	default:
		w.last[i] = version
	}
	if version > w.newest {
		w.newest = version
		w.fresh <- version
	}
}

// end stops the reading and wants nothing to have been wrong.
func (w *watcher) end(t *testing.T) {
	t.Helper()
	w.stop()
	<-w.done
	for _, s := range w.wrong[:min(10, len(w.wrong))] {
		t.Errorf("a reader saw %s", s)
	}
	t.Logf("%d reads of files while they were replaced: %d wrong", w.reads, len(w.wrong))
}

// written is a file that a load wrote, and when its close was acknowledged.
type written struct {
	path string
	size int64
	at   time.Time
}

// treeLoad writes small files one after the other as the ordinary user.
type treeLoad struct {
	mu    sync.Mutex
	acked []written
	// refused is what ended it, nil when it was stopped.
	refused error
	stop    context.CancelFunc
	done    chan struct{}
}

// writes starts a load below a directory.
func (g *grove) writes(c *hdfs.Cluster, dir string) *treeLoad {
	ctx, cancel := context.WithCancel(g.t.Context())
	l := &treeLoad{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for i := 0; ; i++ {
			f := g.file(fmt.Sprintf("%s/%d", dir, i), int64(i%7+1)*100, i)
			// A write that has begun is waited for: what it left would be neither acknowledged nor refused.
			err := g.judge.Put(context.WithoutCancel(ctx), as(c), f)
			l.mu.Lock()
			if err != nil {
				l.refused = err
			} else {
				l.acked = append(l.acked, written{path: f.Path, size: f.Size, at: time.Now()})
			}
			l.mu.Unlock()
			if err != nil || ctx.Err() != nil {
				return
			}
		}
	}()
	return l
}

// more waits for so many further acknowledgements.
func (l *treeLoad) more(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	want := len(l.acked) + n
	l.mu.Unlock()
	eventually(t, patience, "the load goes on", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refused != nil {
			t.Fatalf("the load was refused: %v", l.refused)
		}
		if len(l.acked) < want {
			return fmt.Errorf("%d of %d", len(l.acked), want)
		}
		return nil
	})
}

// end stops it and gives what was acknowledged.
func (l *treeLoad) end() []written {
	l.stop()
	<-l.done
	return l.acked
}

// lostOf gives what was acknowledged and is not whole in the tree, wants all of it to be younger than the claimed moment, and
// tells over what time it was written.
func lostOf(t *testing.T, acked []written, tree hdfs.Tree, safe time.Time) (lost []written, span time.Duration) {
	t.Helper()
	for _, w := range acked {
		// A file that was open when the set was captured is there, and ends where it ended then.
		if e, ok := tree.Find(w.path); ok && e.Length == w.size {
			continue
		}
		lost = append(lost, w)
		if w.at.Before(safe) {
			t.Errorf("%s was acknowledged %v before the claimed safe moment, and is lost", w.path, safe.Sub(w.at))
		}
	}
	if len(lost) > 0 {
		span = acked[len(acked)-1].at.Sub(lost[0].at)
	}
	return lost, span
}

// gone lists paths that a witness of every edit saw missing although they had been there, but for those that the source
// has no more.
func (g *grove) gone(c *hdfs.Cluster, before hdfs.Tree, since int64, now hdfs.Tree) []string {
	g.t.Helper()
	events, err := g.judge.Events(g.t.Context(), c.Access(), since)
	must(g.t, err)
	var out []string
	for _, gap := range hdfs.Gaps(before.Paths(), events, g.root) {
		if _, still := now.Find(gap.Path); still || gap.To != 0 {
			out = append(out, gap.String())
		}
	}
	g.t.Logf("%d edits of the %s: %d files missing in between", len(events), c.Name(), len(out))
	return out
}

// some is the beginning of a list, for a message.
func some(lines []string) string { return strings.Join(lines[:min(10, len(lines))], "\n") }
