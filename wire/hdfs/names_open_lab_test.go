package hdfs_test

import (
	"strings"
	"testing"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// TestNamespacesSayWhoTheyAre asks as the superuser and as anybody.
func TestNamespacesSayWhoTheyAre(t *testing.T) {
	p := open(t)
	mine, err := p.NamespaceInfo(t.Context())
	must(t, err)
	if !strings.HasPrefix(mine.ClusterID, "CID-") || !strings.HasPrefix(mine.BlockPool, "BP-") || mine.NamespaceID == 0 || !strings.HasPrefix(mine.Version, "3.") {
		t.Errorf("the namespace is %+v", mine)
	}
	theirs, err := dial(t, hdfs.Options{NameNodes: p.cluster.Addrs(), User: "ada"}).NamespaceInfo(t.Context())
	if err != nil || theirs != mine {
		t.Errorf("an ordinary user is told %+v, %v", theirs, err)
	}
}

// TestOpenFilesAreListed holds files open through Hadoop's own client.
func TestOpenFilesAreListed(t *testing.T) {
	p := open(t)
	list := func() (found []string) {
		for f, err := range p.OpenFiles(t.Context(), p.dir) {
			must(t, err)
			if f.ID == 0 || f.Client == "" || f.Machine == "" {
				t.Errorf("an open file is %+v", f)
			}
			found = append(found, strings.TrimPrefix(f.Path, p.dir+"/"))
		}
		return found
	}
	var all []*labhdfs.Held
	for _, name := range []string{"a", "d/b"} {
		held, err := p.judge.Hold(t.Context(), p.access, labhdfs.File{Path: p.at(name), Data: []byte("half")})
		must(t, err)
		all = append(all, held)
	}
	p.write("closed", []byte("whole"), hdfs.CreateOptions{})
	if found := strings.Join(list(), " "); found != "a d/b" {
		t.Errorf("open files: %s", found)
	}
	for _, held := range all {
		must(t, held.Release(t.Context()))
	}
	if found := list(); len(found) != 0 {
		t.Errorf("open files after they were closed: %v", found)
	}
	for _, err := range dial(t, hdfs.Options{NameNodes: p.cluster.Addrs(), User: "ada"}).OpenFiles(t.Context(), p.dir) {
		if !hdfs.IsPermission(err) {
			t.Errorf("an ordinary user: %v", err)
		}
	}
}
