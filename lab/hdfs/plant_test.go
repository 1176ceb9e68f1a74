package hdfs_test

import (
	"path"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// TestPlant plants trees in a cluster of its own, and lets Hadoop's client look at them, write among them and take a snapshot.
func TestPlant(t *testing.T) {
	c := hdfs.Boot(t, hdfs.Options{Name: "planted", DataNodes: 1})
	must(t, c.Plant(t.Context(), hdfs.Plantation{Root: "/one", Directories: 3, Files: 4}, hdfs.Plantation{Root: "/two", Directories: 1}))
	client, a := hdfs.OpenClient(t), c.Access()
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
	must(t, c.Restart(t.Context()))
	if b, err := client.Read(t.Context(), a, "/one/d00001/f00002"); err != nil || string(b) != "more" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := c.Plant(t.Context(), hdfs.Plantation{Root: "/three"}); err == nil {
		t.Error("a cluster with files of its own was planted")
	}
}
