package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// secured is a cluster with Kerberos, and how a client is to be set up for it.
type secured struct {
	name       string
	protection labhdfs.Protection
	properties map[string]string
	// data is what the client is told that DataNodes demand; a cluster that encrypts says so itself.
	data hdfs.Protection
}

// securities are all ways to protect a cluster that we know.
func securities() []secured {
	return []secured{
		{"authentication", labhdfs.Authentication, nil, hdfs.Authentication},
		{"integrity", labhdfs.Integrity, nil, hdfs.Integrity},
		{"privacy", labhdfs.Privacy, nil, hdfs.Privacy},
		{"privacy by AES", labhdfs.Privacy, map[string]string{"dfs.encrypt.data.transfer.cipher.suites": "AES/CTR/NoPadding"}, hdfs.Privacy},
		{"encrypted", labhdfs.Authentication, map[string]string{"dfs.encrypt.data.transfer": "true"}, ""},
	}
}

// One after the other, so that the machine need not hold all: each proves every way that data takes.
func TestKerberos(t *testing.T) {
	open(t)
	kdc := kerberos.Boot(t, kerberos.Options{})
	judge := labhdfs.OpenClient(t, kdc)
	keytab, err := kdc.Keytab("understudy")
	must(t, err)
	for _, s := range securities() {
		t.Run(s.name, func(t *testing.T) {
			o := labhdfs.Options{Name: "secure", Version: os.Getenv(hadoopVersion), Kerberos: kdc, Protection: s.protection, Properties: s.properties}
			// The cheapest cluster of which a DataNode can be killed.
			private := s.protection == labhdfs.Privacy && s.properties == nil
			o.LastDataNodeApart = private
			cluster := labhdfs.Boot(t, o)
			p := place{TB: t, cluster: cluster, judge: judge, access: cluster.Access(), dir: "/home/understudy"}
			must(t, judge.MkdirAll(t.Context(), p.access, p.dir))
			owner := "understudy"
			must(t, judge.Set(t.Context(), p.access, p.dir, labhdfs.Attributes{Owner: &owner}))
			p.Client = dial(t, hdfs.Options{NameNodes: cluster.Addrs(), Kerberos: &hdfs.Kerberos{
				Principal: "understudy@" + kdc.Name(), Keytab: keytab, Config: kdc.Config(), ServicePrincipal: "hdfs/localhost",
				RPCProtection: hdfs.Protection(s.protection), DataProtection: s.data,
			}, Dial: narrow})
			p.secure(cluster)
			p.demands(s.data)
			if s.protection == labhdfs.Authentication && s.properties == nil {
				p.servicesFollowAddresses(kdc)
				p.ticketsRunOut(kdc)
			}
			if private {
				p.losesADataNode()
			}
		})
	}
}

// secure writes, reads and sums in a secure cluster, and is refused without a ticket.
func (p place) secure(cluster *labhdfs.Cluster) {
	ctx := p.Context()
	data := random(100, 3*small+777)
	written := p.write("f", data, hdfs.CreateOptions{BlockSize: 2 * small, Replication: 2})
	if got := p.read("f"); !bytes.Equal(got, data) {
		p.Errorf("%d other bytes read", len(got))
	}
	if e := p.entry("f"); e.CRC != written.CRC32C || e.Owner != "understudy" {
		p.Errorf("the judge sees %v", e)
	}
	sum, err := p.Checksum(ctx, p.at("f"))
	must(p.TB, err)
	if sum.CRC32C != written.CRC32C {
		p.Errorf("sum %08x, written %08x", sum.CRC32C, written.CRC32C)
	}
	w, err := p.Append(ctx, p.at("f"), hdfs.AppendOptions{})
	must(p.TB, err)
	_, err = w.Write(data[:1000])
	must(p.TB, err)
	must(p.TB, w.Flush())
	_, err = w.Write(data[:1000])
	must(p.TB, err)
	must(p.TB, w.Close())
	p.listed(append(append(data, data[:1000]...), data[:1000]...))
	_, err = hdfs.Dial(ctx, hdfs.Options{NameNodes: cluster.Addrs(), User: labhdfs.Superuser})
	refused(p.TB, err, hdfs.ErrUnauthenticated)
}

// demands wants a DataNode to say what it takes; one that encrypts all takes privacy.
func (p place) demands(data hdfs.Protection) {
	p.Helper()
	if data == "" {
		data = hdfs.Privacy
	}
	b, err := p.Locate(p.Context(), p.at("f"), 0, -1)
	must(p.TB, err)
	if takes, err := p.DataProtections(p.Context(), b.List[0].Replicas[0].Node); err != nil || !slices.Equal(takes, []hdfs.Protection{data}) {
		p.Errorf("DataNodes take %q, not %s: %v", takes, data, err)
	}
}

// narrow opens connections on which little waits to be read, so that who is killed has not sent all of a block.
func narrow(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	return c, err
}

// losesADataNode kills the last DataNode, which is read from and written to in the middle of two blocks: both go on at the other one, by the tokens and
// under the protection of the cluster.
func (p place) losesADataNode() {
	p.Helper()
	ctx, last := p.Context(), len(p.cluster.DataAddrs())
	// More than what lies in buffers between a DataNode and its reader; little, since each byte is encrypted on every way.
	data := random(101, 6*small)
	p.write("long", data, hdfs.CreateOptions{BlockSize: 8 * small, Replication: 2})
	b, err := p.Locate(ctx, p.at("long"), 0, -1)
	must(p.TB, err)
	slices.SortFunc(b.List[0].Replicas, func(x, y hdfs.Replica) int { return p.number(y.Node) - p.number(x.Node) })
	r, err := p.OpenInfo(ctx, &hdfs.FileInfo{Path: p.at("long"), Blocks: b})
	must(p.TB, err)
	defer r.Close()
	got := make([]byte, len(data))
	_, err = io.ReadFull(r, got[:small/2])
	must(p.TB, err)
	w, err := p.Create(ctx, p.at("mended"), hdfs.CreateOptions{BlockSize: 2 * small, Replication: 2})
	must(p.TB, err)
	_, err = w.Write(data[:small+100])
	must(p.TB, err)
	must(p.TB, w.Flush())
	must(p.TB, p.cluster.DataNode(last).Kill())
	_, err = io.ReadFull(r, got[small/2:])
	must(p.TB, err)
	if bad := r.BadReplicas(); !bytes.Equal(got, data) || len(bad) != 1 || bad[0].Corrupt || p.number(bad[0].Node) != last {
		p.Errorf("read over the death of a DataNode, bad replicas: %+v", bad)
	}
	_, err = w.Write(data[small+100 : 3*small])
	must(p.TB, err)
	must(p.TB, w.Close())
	if e := p.entry("mended"); w.Written().Recoveries == 0 || e.CRC != crcOf(data[:3*small]) || w.Written().CRC32C != e.CRC {
		p.Errorf("the judge sees %v, we wrote %+v", e, w.Written())
	}
}

// servicesFollowAddresses has the host in the NameNode's principal taken from its address, with and without a principal in the options.
func (p place) servicesFollowAddresses(kdc *kerberos.KDC) {
	p.Helper()
	keytab, err := kdc.Keytab("understudy")
	must(p.TB, err)
	_, port, err := net.SplitHostPort(p.cluster.Addr())
	must(p.TB, err)
	for _, x := range []struct{ host, service, want string }{
		{"localhost", "", ""},
		{"LocalHost", "hdfs/_HOST@" + kdc.Name(), ""},
		{"localhost", "hdfs/_HOST", ""},
		{"127.0.0.1", "", "hdfs/127.0.0.1"},
		{"127.0.0.1", "hdfs/localhost@" + kdc.Name(), ""},
	} {
		c, err := hdfs.Dial(p.Context(), hdfs.Options{NameNodes: []string{net.JoinHostPort(x.host, port)}, Kerberos: &hdfs.Kerberos{
			Principal: "understudy@" + kdc.Name(), Keytab: keytab, Config: kdc.Config(), ServicePrincipal: x.service, DataProtection: hdfs.Authentication,
		}})
		if err == nil {
			_, err = c.Stat(p.Context(), p.at("f"))
			c.Close()
		}
		var login *hdfs.LoginError
		if x.want == "" && err != nil || x.want != "" && (!errors.As(err, &login) || login.Service != x.want || login.Reason != hdfs.ReasonService) {
			p.Errorf("%q at %s: %v", x.service, x.host, err)
		}
	}
}

// ticketsRunOut holds a client over the end of its tickets: they are fetched anew by keytab, until the realm knows the principal no more.
func (p place) ticketsRunOut(kdc *kerberos.KDC) {
	ctx := p.Context()
	keytab, err := kdc.Keytab("brief")
	must(p.TB, err)
	must(p.TB, kdc.Limit("brief", 3*time.Second))
	c := dial(p.TB, hdfs.Options{NameNodes: p.cluster.Addrs(), Kerberos: &hdfs.Kerberos{
		Principal: "brief@" + kdc.Name(), Keytab: keytab, Config: kdc.Config(), ServicePrincipal: "hdfs/localhost",
	}})
	p.until("tickets were fetched three times", func() bool {
		log, err := os.ReadFile(kdc.Log())
		must(p.TB, err)
		return strings.Count(string(log), "brief@"+kdc.Name()+" for krbtgt/") >= 3
	})
	// It takes a connection of its own, and so a ticket that is good now.
	_, err = c.NamespaceInfo(ctx)
	must(p.TB, err)
	must(p.TB, kdc.Remove("brief"))
	p.until("nobody gets a ticket", func() bool {
		_, err = c.NamespaceInfo(ctx)
		return err != nil
	})
	var login *hdfs.LoginError
	if !errors.As(err, &login) || login.Reason != hdfs.ReasonPrincipal || !errors.Is(err, hdfs.ErrUnauthenticated) {
		p.Errorf("of a principal that is gone: %v", err)
	}
	if _, err := c.HAState(ctx); err != nil {
		p.Errorf("a connection that was made before ends with the ticket: %v", err)
	}
}

// listed reads a file by a listing, whose blocks come without the tokens that open them, and many times over one set of connections.
func (p place) listed(data []byte) {
	page, err := p.List(p.Context(), p.dir, hdfs.ListOptions{Locations: true})
	must(p.TB, err)
	for range 3 {
		r, err := p.OpenInfo(p.Context(), &page.Entries[0])
		must(p.TB, err)
		got, err := io.ReadAll(r)
		must(p.TB, err)
		must(p.TB, r.Close())
		if !bytes.Equal(got, data) {
			p.Errorf("%d other bytes read by the listing", len(got))
		}
	}
	sum, err := p.ChecksumOf(p.Context(), p.at("f"), page.Entries[0].Blocks)
	must(p.TB, err)
	if sum.CRC32C != crcOf(data) {
		p.Errorf("sum by the listing %08x", sum.CRC32C)
	}
}

// A server without Kerberos must not be taken for one with it.
func TestKerberosIsNotGivenUp(t *testing.T) {
	p := open(t)
	kdc := kerberos.Boot(t, kerberos.Options{})
	keytab, err := kdc.Keytab("understudy")
	must(t, err)
	k := &hdfs.Kerberos{Principal: "understudy@" + kdc.Name(), Keytab: keytab, Config: kdc.Config()}
	_, err = hdfs.Dial(t.Context(), hdfs.Options{NameNodes: p.cluster.Addrs(), Kerberos: k, CallTimeout: time.Minute})
	refused(t, err, hdfs.ErrUnauthenticated)
}
