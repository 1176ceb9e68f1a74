package native

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// sortMemory is how many encoded bytes a sorter holds before it writes a run.
	sortMemory = 8 << 20
	// maxRuns is how many runs are merged at once.
	maxRuns = 64
)

// sorter sorts any number of items by path with a fixed amount of memory: it writes sorted runs and merges them. Items of a listing
// that comes in order make one run. Of items with one path the last one added stays.
type sorter struct {
	dir    string
	name   string
	memory int
	buffer []byte
	refs   []ref
	runs   []string
	run    *segmentFile
	made   int
	count  int64
}

// ref is an encoded item in the buffer: its place, and the place of its path for comparisons.
type ref struct {
	from, to         int
	pathFrom, pathTo int
}

func newSorter(dir, name string, memory int) *sorter {
	return &sorter{dir: dir, name: name, memory: memory}
}

func (s *sorter) add(it *item) error {
	from := len(s.buffer)
	s.buffer = appendItem(s.buffer, it)
	s.refs = append(s.refs, ref{from: from, to: len(s.buffer)})
	r := &s.refs[len(s.refs)-1]
	c := cursor{rest: s.buffer[from:]}
	c.uvarint()
	c.take(2)
	n := c.uvarint()
	r.pathFrom = len(s.buffer) - len(c.rest)
	r.pathTo = r.pathFrom + int(n)
	s.count++
	if len(s.buffer) < s.memory {
		return nil
	}
	return s.spill()
}

func (s *sorter) path(r ref) string { return string(s.buffer[r.pathFrom:r.pathTo]) }

// order sorts what is in the buffer; of equal paths the later one comes last.
func (s *sorter) order() {
	slices.SortStableFunc(s.refs, func(a, b ref) int { return comparePaths(s.buffer[a.pathFrom:a.pathTo], s.buffer[b.pathFrom:b.pathTo]) })
}

// comparePaths is filecopy.Path.Compare for bytes.
func comparePaths(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '/' {
			return -1
		}
		if b[i] == '/' {
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return len(a) - len(b)
}

// spill writes the buffer as a run, or behind the last run when it goes on from there.
func (s *sorter) spill() error {
	if len(s.refs) == 0 {
		return nil
	}
	s.order()
	if s.run != nil && comparePaths([]byte(s.run.last), s.buffer[s.refs[0].pathFrom:s.refs[0].pathTo]) >= 0 {
		if err := s.endRun(); err != nil {
			return err
		}
	}
	if s.run == nil {
		if err := s.beginRun(); err != nil {
			return err
		}
	}
	for i, r := range s.refs {
		if i+1 < len(s.refs) && s.path(r) == s.path(s.refs[i+1]) {
			continue
		}
		it, err := readItem(&cursor{rest: s.buffer[r.from:r.to]})
		if err != nil {
			return err
		}
		if err := s.run.add(&it); err != nil {
			return err
		}
	}
	s.buffer, s.refs = s.buffer[:0], s.refs[:0]
	return nil
}

func (s *sorter) beginRun() error {
	path := filepath.Join(s.dir, fmt.Sprintf("%s.run-%d", s.name, s.made))
	s.made++
	run, err := createSegment(path)
	if err != nil {
		return err
	}
	s.run, s.runs = run, append(s.runs, path)
	return nil
}

func (s *sorter) endRun() error {
	if s.run == nil {
		return nil
	}
	_, err := s.run.finish(false)
	s.run = nil
	return err
}

// sorted gives all items in order, and ends the adding. The stream must be closed; it removes the runs.
func (s *sorter) sorted() (stream, error) {
	l, err := s.listing()
	if err != nil {
		return nil, err
	}
	in, err := l.open()
	return &removing{stream: in, paths: l.runs}, err
}

// listing ends the adding, and gives all items in order as often as they are asked for.
func (s *sorter) listing() (listing, error) {
	if err := s.spill(); err != nil {
		return listing{}, err
	}
	if err := s.endRun(); err != nil {
		return listing{}, err
	}
	s.buffer, s.refs = nil, nil
	for len(s.runs) > maxRuns {
		if err := s.mergeRuns(); err != nil {
			return listing{}, err
		}
	}
	return listing{s.runs}, nil
}

// abandon removes what was added.
func (s *sorter) abandon() {
	if s.run != nil {
		s.run.abandon()
	}
	listing{s.runs}.remove()
}

// listing is a sorted list on disk; the zero listing is empty.
type listing struct{ runs []string }

// open gives the items; the stream must be closed.
func (l listing) open() (stream, error) {
	all, err := openRuns(l.runs)
	if err != nil || len(all) == 0 {
		return empty{}, err
	}
	return mergeStreams(all...), nil
}

func (l listing) remove() {
	for _, p := range l.runs {
		_ = os.Remove(p)
	}
}

// mergeRuns merges the oldest runs into one, which takes their place, so that later ones still win.
func (s *sorter) mergeRuns() error {
	old := s.runs[:maxRuns]
	all, err := openRuns(old)
	if err != nil {
		return err
	}
	in := &removing{stream: mergeStreams(all...), paths: slices.Clone(old)}
	defer in.close()
	rest := slices.Clone(s.runs[maxRuns:])
	s.runs = nil
	if err := s.beginRun(); err != nil {
		return err
	}
	s.runs = append(s.runs, rest...)
	for it, ok, err := in.next(); ok || err != nil; it, ok, err = in.next() {
		if err != nil {
			return err
		}
		if err := s.run.add(&it); err != nil {
			return err
		}
	}
	return s.endRun()
}

func openRuns(paths []string) ([]stream, error) {
	var all []stream
	for _, p := range paths {
		f, err := openSegment(p, "")
		if err != nil {
			mergeStreams(append(all, empty{}, empty{})...).close()
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// removing removes files when it is closed.
type removing struct {
	stream
	paths []string
}

func (r *removing) close() {
	r.stream.close()
	listing{r.paths}.remove()
}

// segmentFile writes a segment into a file.
type segmentFile struct {
	*segmentWriter
	file   *os.File
	buffer *bufio.Writer
}

func createSegment(path string) (*segmentFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	b := bufio.NewWriterSize(f, blockSize)
	w, err := newSegmentWriter(b)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &segmentFile{w, f, b}, nil
}

// finish completes the file, on disk when it is to survive a crash, and gives its digest.
func (s *segmentFile) finish(durable bool) (string, error) {
	digest, err := s.end()
	if err == nil {
		err = s.buffer.Flush()
	}
	if err == nil && durable {
		err = s.file.Sync()
	}
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	return digest, err
}

// abandon closes the file as it is.
func (s *segmentFile) abandon() { _ = s.file.Close() }

// fileName says whether a name is one of ours to use in a file name.
func fileName(name string) bool {
	return name != "" && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}
