package hdfs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
)

// pairOfNameNodes fails over in good order and after a kill, and finds everything that was acknowledged. The pair knows nobody
// without a ticket; others have pairs without Kerberos.
func pairOfNameNodes(t *testing.T, k *kerberos.KDC, j *hdfs.Client) {
	start := time.Now()
	c := hdfs.Boot(t, hdfs.Options{Name: "pair", HA: true, Kerberos: k, Protection: hdfs.Privacy})
	t.Logf("four JVMs ready after %v", time.Since(start))
	a := c.Access()
	active := func(want string) {
		t.Helper()
		text, err := j.Tool(t.Context(), a, "haadmin", "-getServiceState", want)
		if err != nil || strings.TrimSpace(text) != "active" {
			t.Fatalf("%s is %q, %v", want, text, err)
		}
	}
	active("nn1")
	knowsItsUsers(t, k, j, c)
	must(t, j.Put(t.Context(), a, hdfs.File{Path: "/d/one", Size: 2 << 20, BlockSize: 1 << 20}))
	must(t, j.Failover(t.Context(), a, 2))
	active("nn2")
	must(t, j.Put(t.Context(), a, hdfs.File{Path: "/d/two", Size: 100}))
	before, err := j.Dump(t.Context(), a, "/d")
	must(t, err)
	start = time.Now()
	must(t, c.NameNode(2).Kill())
	must(t, j.Failover(t.Context(), a, 1))
	active("nn1")
	t.Logf("another NameNode active %v after a kill", time.Since(start))
	after, err := j.Dump(t.Context(), a, "/d")
	must(t, err)
	if d := before.Diff(after, 5); d != nil || len(after.Entries) != 3 {
		t.Errorf("%v", d)
	}
	must(t, c.NameNode(2).Restart(t.Context()))
	must(t, j.Put(t.Context(), a, hdfs.File{Path: "/d/three", Data: []byte("3")}))
	must(t, j.Failover(t.Context(), a, 2))
	if b, err := j.Read(t.Context(), a, "/d/three"); string(b) != "3" {
		t.Errorf("after another failover: %q, %v", b, err)
	}
	// All at once, as a lost site; the first one takes over then.
	must(t, c.Kill())
	must(t, c.Restart(t.Context()))
	active("nn1")
	if b, err := j.Read(t.Context(), a, "/d/three"); string(b) != "3" {
		t.Errorf("after all were killed: %q, %v", b, err)
	}
	if err := j.Failover(t.Context(), a, 3); err == nil {
		t.Error("a third NameNode was found")
	}
}
