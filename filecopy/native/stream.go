package native

import (
	"container/heap"
	"io"
	"os"

	"github.com/understudy-dr/understudy/filecopy"
)

// stream gives items in the order of their paths, each path at most once.
type stream interface {
	// next gives the next item; false at the end.
	next() (item, bool, error)
	// close releases files; it may be called at any time.
	close()
}

// empty is a stream of nothing.
type empty struct{}

func (empty) next() (item, bool, error) { return item{}, false, nil }
func (empty) close()                    {}

// fileStream reads a segment file.
type fileStream struct {
	*segmentReader
	file io.Closer
}

func openSegment(path, want string) (*fileStream, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := newSegmentReader(f, want)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &fileStream{r, f}, nil
}

func (s *fileStream) close() { _ = s.file.Close() }

// merged merges streams; of items with one path the one of the newest stream, the last in the list, wins.
type merged struct {
	heads   mergeHeap
	all     []stream
	started bool
}

type mergeHead struct {
	item  item
	order int
	from  stream
}

type mergeHeap []mergeHead

func (h mergeHeap) Len() int      { return len(h) }
func (h mergeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h mergeHeap) Less(i, j int) bool {
	if c := h[i].item.Path.Compare(h[j].item.Path); c != 0 {
		return c < 0
	}
	return h[i].order > h[j].order
}
func (h *mergeHeap) Push(x any) { *h = append(*h, x.(mergeHead)) }
func (h *mergeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = mergeHead{}
	*h = old[:len(old)-1]
	return x
}

func mergeStreams(all ...stream) stream {
	if len(all) == 1 {
		return all[0]
	}
	return &merged{all: all}
}

func (m *merged) start() error {
	m.started = true
	for i, s := range m.all {
		it, ok, err := s.next()
		if err != nil {
			return err
		}
		if ok {
			m.heads = append(m.heads, mergeHead{it, i, s})
		}
	}
	heap.Init(&m.heads)
	return nil
}

func (m *merged) next() (item, bool, error) {
	if !m.started {
		if err := m.start(); err != nil {
			return item{}, false, err
		}
	}
	if len(m.heads) == 0 {
		return item{}, false, nil
	}
	top := m.heads[0].item
	for len(m.heads) > 0 && m.heads[0].item.Path == top.Path {
		if err := m.advance(); err != nil {
			return item{}, false, err
		}
	}
	return top, true, nil
}

// advance replaces the first head by the next item of its stream.
func (m *merged) advance() error {
	it, ok, err := m.heads[0].from.next()
	if err != nil {
		return err
	}
	if !ok {
		heap.Pop(&m.heads)
		return nil
	}
	m.heads[0].item = it
	heap.Fix(&m.heads, 0)
	return nil
}

func (m *merged) close() {
	for _, s := range m.all {
		s.close()
	}
}

// living leaves tombstones out.
type living struct{ stream }

func (l living) next() (item, bool, error) {
	for {
		it, ok, err := l.stream.next()
		if err != nil || !ok || !it.Gone {
			return it, ok, err
		}
	}
}

// peeked looks one item ahead.
type peeked struct {
	stream
	head item
	ok   bool
	err  error
}

func peek(s stream) *peeked {
	p := &peeked{stream: s}
	p.advance()
	return p
}

func (p *peeked) advance() { p.head, p.ok, p.err = p.stream.next() }

// at says whether the head has the path.
func (p *peeked) at(path filecopy.Path) bool { return p.ok && p.head.Path == path }

// unprobed leaves out probes that somebody of ours left behind.
type unprobed struct{ stream }

func (u unprobed) next() (item, bool, error) {
	for {
		it, ok, err := u.stream.next()
		if err != nil || !ok || !filecopy.IsProbe(it.Entry) {
			return it, ok, err
		}
	}
}
