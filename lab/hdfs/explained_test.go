package hdfs_test

import (
	"path"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// TestUnexplainedEditsAreSeen is the control of the witness of edits.
func TestUnexplainedEditsAreSeen(t *testing.T) {
	sets := [][]string{{"a", "d/b"}, {"a", "e/b"}, {"a", "d/b"}}
	before := []string{"/t", "/t/a", "/t/d", "/t/d/b"}
	event := func(tx int64, kind, from, to string) hdfs.Event {
		return hdfs.Event{TxID: tx, Type: kind, Path: from, To: to}
	}
	good := []hdfs.Event{
		event(1, "create", "/s/1", ""), event(2, "unlink", "/t/a", ""), event(2, "rename", "/s/1", "/t/a"), event(3, "rename", "/t/d", "/t/e"),
		event(4, "rename", "/s/h", "/s/head.json"), event(5, "rename", "/t/e", "/t/d"), event(6, "rename", "/s/h", "/s/head.json"),
	}
	unexplained := func(events []hdfs.Event) []string {
		return hdfs.Unexplained(before, events, "/t", sets, func(e hdfs.Event) bool { return path.Base(e.To) == "head.json" })
	}
	if out := unexplained(good); len(out) > 0 {
		t.Errorf("all is well, and it says %q", out)
	}
	for name, bad := range map[string][]hdfs.Event{
		"unlinked, then renamed over": {event(1, "create", "/s/1", ""), event(2, "unlink", "/t/a", ""), event(3, "rename", "/s/1", "/t/a")},
		"written in place":            {event(1, "create", "/t/.a.temp", "")},
		"lost":                        {event(1, "unlink", "/t/a", "")},
		"a detour":                    {event(1, "rename", "/t/a", "/t/t"), event(2, "rename", "/t/t", "/t/a")},
		"back too early":              {event(1, "rename", "/t/d", "/t/e"), event(2, "rename", "/t/e", "/t/d")},
	} {
		if out := unexplained(slices.Concat(bad, good[3:])); len(out) == 0 {
			t.Errorf("%s: nobody saw it", name)
		}
	}
	if out := unexplained(good[:5]); len(out) != 1 {
		t.Errorf("a set is missing, and it says %q", out)
	}
}
