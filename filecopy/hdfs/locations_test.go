package hdfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// shelf is a directory of many files that is listed in pages.
type shelf struct {
	names  []string
	pages  atomic.Int64
	broken bool
}

func (s *shelf) list(_ context.Context, dir string, opts hdfs.ListOptions) (*hdfs.Listing, error) {
	s.pages.Add(1)
	if s.broken || !opts.Locations {
		return nil, errors.New("broken")
	}
	at, found := slices.BinarySearch(s.names, opts.After)
	if found {
		at++
	}
	l := &hdfs.Listing{}
	for _, n := range s.names[at:min(at+100, len(s.names))] {
		l.Entries = append(l.Entries, hdfs.FileInfo{Type: hdfs.TypeFile, Name: n, Path: dir + "/" + n, Blocks: &hdfs.Blocks{}})
	}
	return l, nil
}

func newShelf(files int) *shelf {
	s := &shelf{}
	for i := range files {
		s.names = append(s.names, fmt.Sprintf("f%05d", i))
	}
	return s
}

// TestLocationsAreForeseen reads a directory in order, by many at once: few files have to be asked for.
func TestLocationsAreForeseen(t *testing.T) {
	s := newShelf(1000)
	l := newLocations(s.list)
	var asked atomic.Int64
	var all sync.WaitGroup
	turns := make(chan struct{}, 16)
	for _, n := range s.names {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			info := l.find(t.Context(), "/d/"+n)
			if info == nil {
				asked.Add(1)
			} else if info.Path != "/d/"+n {
				t.Errorf("%s for %s", info.Path, n)
			}
		})
	}
	all.Wait()
	if asked.Load() > 100 || s.pages.Load() > 30 {
		t.Errorf("%d files were asked for, and %d pages", asked.Load(), s.pages.Load())
	}
}

// TestFewFilesAreAskedFor reads every fiftieth file, and files of many directories: listings are no more than a quarter of that.
func TestFewFilesAreAskedFor(t *testing.T) {
	s := newShelf(5000)
	l := newLocations(s.list)
	for i := 0; i < len(s.names); i += 50 {
		l.find(t.Context(), "/d/"+s.names[i])
	}
	if s.pages.Load() > 100/foreseen {
		t.Errorf("%d pages for 100 files", s.pages.Load())
	}
	before := s.pages.Load()
	for i := range 1000 {
		if l.find(t.Context(), fmt.Sprintf("/d%d/f00000", i)) != nil {
			t.Error("nothing was listed there")
		}
	}
	if s.pages.Load() != before || len(l.folders) > mostFolders || len(l.ages) > mostFolders {
		t.Errorf("%d pages, %d directories are remembered", s.pages.Load()-before, len(l.folders))
	}
}

// TestABrokenListingIsNoHelp and nothing worse: each file is asked for then.
func TestABrokenListingIsNoHelp(t *testing.T) {
	s := newShelf(100)
	s.broken = true
	l := newLocations(s.list)
	for _, n := range s.names {
		if l.find(t.Context(), "/d/"+n) != nil {
			t.Error("a file out of nothing")
		}
	}
}

func TestListingsBeginBeforeAName(t *testing.T) {
	for _, n := range []string{"a", "\x00", "a\x00", "\xff", "é", "part-00000", "~"} {
		if b := before(n); b >= n || n[:len(n)-1] > b && len(n) > 1 {
			t.Errorf("before(%q) = %q", n, b)
		}
	}
}

// TestSealedHandlesSayWhoseTheyAre holds what is written into a handle against what is read from it.
func TestSealedHandlesSayWhoseTheyAre(t *testing.T) {
	s, err := New(Config{Root: "/data/tree"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Begin(t.Context(), "lot-1", filecopy.Entry{Attributes: filecopy.Attributes{Mode: 0o640, BlockSize: 1 << 20, Replication: 2}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := s.staged(h)
	if err != nil || plain.owner != "" {
		t.Errorf("%+v, %v", plain, err)
	}
	for _, c := range []struct{ owner, group, want string }{
		{"hdfs", "supergroup", "hdfs"}, {"a b", "ü", "a b"}, {"", "supergroup", ""}, {"a~b", "g", ""}, {"a", "~", ""},
	} {
		owned := fresh{owner: c.owner, group: c.group}.owned(h)
		st, err := s.staged(owned)
		if err != nil || st.path != plain.path || st.mode != 0o640 || st.owner != c.want || c.want != "" && st.group != c.group {
			t.Errorf("%q gives %+v, %v", owned, st, err)
		}
		if again := (fresh{owner: "else", group: "else"}).owned(owned); c.want != "" && again != owned {
			t.Errorf("%q became %q", owned, again)
		}
	}
}
