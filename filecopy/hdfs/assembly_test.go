package hdfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// TestPlacesInAnAssembly shows which files are written right where an assembly has them, and what it means when something is there.
func TestPlacesInAnAssembly(t *testing.T) {
	s, err := New(Config{Root: "/data/tree", PartSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.Assembly("lot-1/tree")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target filecopy.Target
		lot    string
		path   filecopy.Path
		size   int64
		placed bool
	}{
		{to, "lot-1", "d/f", 9, true}, {to, "lot-1", "d/f\n.1", 0, true}, {to, "lot-1", "d/f", 1 << 20, false}, {to, "lot-1", "d/a~b", 9, false},
		{to, "lot-1", filecopy.Path(strings.Repeat("d/", 600) + "f"), 9, false}, {to, "lot-2", "d/f", 9, false}, {s, "lot-1", "d/f", 9, false},
	} {
		h, err := c.target.Begin(t.Context(), c.lot, filecopy.Entry{Path: c.path, Size: c.size, Attributes: filecopy.Attributes{Mode: 0o640, Replication: 2}})
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.staged(fresh{owner: "ada", group: "friends"}.owned(h))
		at := "/data/.tree.understudy/staging/lot-1/tree/whole/" + string(c.path)
		if err != nil || st.placed != c.placed || (st.path == at) != c.placed || st.mode != 0o640 || st.replication != 2 || st.owner != "ada" {
			t.Errorf("%.20q of %d bytes is staged as %+v, %v", c.path, c.size, st, err)
		}
		for _, is := range []error{hdfs.ErrExists, hdfs.ErrLease} {
			if err := st.taken(is); !errors.Is(err, is) || errors.Is(err, filecopy.ErrNotFound) != c.placed {
				t.Errorf("%v means %v", is, err)
			}
		}
	}
}
