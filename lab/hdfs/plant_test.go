package hdfs_test

import (
	"path"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// TestPlant plants trees in a cluster of its own, and lets Hadoop's client look at them, write among them and take a snapshot. A closed
// cluster keeps its directory: another one starts with it, on other ports.
func TestPlant(t *testing.T) {
	client := open(t).client
	o := hdfs.Options{Name: "planted", Dir: t.TempDir(), DataNodes: 1}
	c := hdfs.Boot(t, o)
	must(t, c.Plant(t.Context(), hdfs.Plantation{Root: "/one", Directories: 3, Files: 4}, hdfs.Plantation{Root: "/two", Directories: 1}))
	a := c.Access()
	for root, want := range map[string]int{"/one": 1 + 3*(1+4), "/two": 2} {
		tree, err := client.Dump(t.Context(), a, root)
		must(t, err)
		files := 0
		for _, e := range tree.Entries {
			if e.Owner != hdfs.Superuser || e.Group != "supergroup" {
				t.Errorf("%s belongs to %s:%s", e.Path, e.Owner, e.Group)
			}
			if path.Dir(path.Dir(e.Path)) == "/one" {
				files++
			}
		}
		if len(tree.Entries) != want || root == "/one" && files != 12 {
			t.Errorf("%d entries below %s, %d files: %v", len(tree.Entries), root, files, tree.Paths())
		}
	}
	must(t, client.AllowSnapshots(t.Context(), a, "/one"))
	must(t, client.Put(t.Context(), a, hdfs.File{Path: "/one/d00001/f00002", Data: []byte("more")}, hdfs.File{Path: "/two/new", Data: []byte("new")}))
	must(t, c.Stop(t.Context()))
	must(t, c.Close())
	c = hdfs.Boot(t, o)
	if b, err := client.Read(t.Context(), c.Access(), "/one/d00001/f00002"); err != nil || string(b) != "more" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := c.Plant(t.Context(), hdfs.Plantation{Root: "/three"}); err == nil {
		t.Error("a cluster with files of its own was planted")
	}
}
