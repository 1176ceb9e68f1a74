package hdfs_test

import (
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// TestWitness has a file replaced in one step, and then as DistCp does it, on the real NameNode.
func TestWitness(t *testing.T) {
	p := open(t)
	p.put(hdfs.File{Path: "live/f", Data: []byte("old")}, hdfs.File{Path: "new", Data: []byte("new")}, hdfs.File{Path: "newer", Data: []byte("newer")})
	before := p.dump("").Paths()
	mark, err := p.client.Mark(t.Context(), p.access)
	must(t, err)
	must(t, p.client.Replace(t.Context(), p.access, p.at("new"), p.at("live/f")))
	events, err := p.client.Events(t.Context(), p.access, mark)
	must(t, err)
	if gaps := hdfs.Gaps(before, events, p.at("live")); len(events) == 0 || gaps != nil {
		t.Errorf("replaced in one step: %v in %+v", gaps, events)
	}
	must(t, p.client.Remove(t.Context(), p.access, p.at("live/f")))
	must(t, p.client.Rename(t.Context(), p.access, p.at("newer"), p.at("live/f")))
	events, err = p.client.Events(t.Context(), p.access, mark)
	must(t, err)
	gaps := hdfs.Gaps(before, events, p.at("live"))
	if len(gaps) != 1 || gaps[0].Path != p.at("live/f") || gaps[0].To <= gaps[0].From {
		t.Errorf("removed and then renamed: %v in %+v", gaps, events)
	}
}

func TestGaps(t *testing.T) {
	create := func(at int64, path string) hdfs.Event { return hdfs.Event{TxID: at, Type: "create", Path: path} }
	unlink := func(at int64, path string) hdfs.Event { return hdfs.Event{TxID: at, Type: "unlink", Path: path} }
	rename := func(at int64, path, to string) hdfs.Event {
		return hdfs.Event{TxID: at, Type: "rename", Path: path, To: to}
	}
	for _, c := range []struct {
		name   string
		before []string
		events []hdfs.Event
		want   string
	}{
		{"nothing", []string{"/r/f"}, nil, "[]"},
		{"created and kept", nil, []hdfs.Event{create(1, "/r/f")}, "[]"},
		{"overwritten", []string{"/r/f"}, []hdfs.Event{create(1, "/r/f")}, "[]"},
		{"removed", []string{"/r/f"}, []hdfs.Event{unlink(1, "/r/f")}, "[/r/f is missing since edit 1]"},
		{"removed elsewhere", []string{"/x/f", "/rr/f"}, []hdfs.Event{unlink(1, "/x/f"), unlink(2, "/rr/f")}, "[]"},
		{"came back", []string{"/r/f"}, []hdfs.Event{unlink(1, "/r/f"), create(3, "/r/f")}, "[/r/f was missing from edit 1 to 3]"},
		{"replaced in one edit", []string{"/r/f", "/t"}, []hdfs.Event{unlink(1, "/r/f"), rename(1, "/t", "/r/f")}, "[]"},
		{"replaced in two", []string{"/r/f", "/t"}, []hdfs.Event{unlink(1, "/r/f"), rename(2, "/t", "/r/f")}, "[/r/f was missing from edit 1 to 2]"},
		{"with its directory", []string{"/r", "/r/d", "/r/d/f"}, []hdfs.Event{unlink(4, "/r/d")}, "[/r/d is missing since edit 4 /r/d/f is missing since edit 4]"},
		{"a directory swapped", []string{"/r/d", "/r/d/f", "/s", "/s/f"}, []hdfs.Event{rename(1, "/r/d", "/old"), rename(2, "/s", "/r/d")},
			"[/r/d was missing from edit 1 to 2 /r/d/f was missing from edit 1 to 2]"},
		{"a sibling of like name", []string{"/r/d", "/r/dd"}, []hdfs.Event{unlink(1, "/r/d"), create(2, "/r/d")}, "[/r/d was missing from edit 1 to 2]"},
	} {
		if got := fmt.Sprint(hdfs.Gaps(c.before, c.events, "/r")); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}
