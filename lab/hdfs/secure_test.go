package hdfs_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
)

// TestKerberos holds clusters of all levels of protection to what they promise, all of one realm and with one client. That of privacy is the pair.
func TestKerberos(t *testing.T) {
	open(t)
	k := kerberos.Boot(t, kerberos.Options{})
	j := hdfs.OpenClient(t, k)
	t.Run("levels", func(t *testing.T) {
		start := time.Now()
		clusters := hdfs.BootAll(t,
			hdfs.Options{Name: string(hdfs.Authentication), Kerberos: k}, hdfs.Options{Name: string(hdfs.Integrity), Kerberos: k, Protection: hdfs.Integrity})
		t.Logf("two secure clusters ready after %v", time.Since(start))
		knowsItsUsers(t, k, j, clusters...)
		// Whoever comes without a ticket is turned away.
		stranger := clusters[0].Access()
		stranger.Properties["hadoop.security.authentication"], stranger.Keytab = "simple", ""
		err := shared.client.MkdirAll(t.Context(), stranger, "/x")
		if err == nil || !strings.Contains(err.Error(), "SIMPLE authentication is not enabled") {
			t.Errorf("without a ticket: %v", err)
		}
	})
	t.Run("pair", func(t *testing.T) { pairOfNameNodes(t, k, j) })
}

// knowsItsUsers has a user read and write on secure clusters as it may.
func knowsItsUsers(t *testing.T, k *kerberos.KDC, j *hdfs.Client, clusters ...*hdfs.Cluster) {
	t.Helper()
	keytab, err := k.Keytab("alice")
	must(t, err)
	for _, c := range clusters {
		data := bytes.Repeat([]byte(c.Name()), 1<<17)
		must(t, j.Put(t.Context(), c.Access(), hdfs.File{Path: "/f", Data: data, BlockSize: 1 << 20}))
		must(t, j.MkdirAll(t.Context(), c.Access(), "/home/alice"))
		must(t, j.Set(t.Context(), c.Access(), "/home/alice", hdfs.Attributes{Owner: ptr("alice")}))
		alice := c.As("alice", keytab)
		if b, err := j.Read(t.Context(), alice, "/f"); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: read %d bytes, %v", c.Name(), len(b), err)
		}
		must(t, j.Put(t.Context(), alice, hdfs.File{Path: "/home/alice/f", Data: data}))
		refused(t, j.Put(t.Context(), alice, hdfs.File{Path: "/g"}), "AccessControlException")
		tree, err := j.Dump(t.Context(), alice, "/home/alice")
		must(t, err)
		if e, _ := tree.Find("/home/alice/f"); e.Owner != "alice" || e.CRC == 0 {
			t.Errorf("%s: %v", c.Name(), e)
		}
	}
}
