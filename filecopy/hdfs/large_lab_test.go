package hdfs_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/proxy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// largeVictim is killed within one file of 16 parts. It finds the cluster by the addresses of its NameNodes, with the root behind them.
func largeVictim(dial func(ctx context.Context, network, address string) (net.Conn, error)) filecopytest.Large {
	return filecopytest.Large{Size: 64 << 20, Kill: 10, Run: func(ctx context.Context, dir, at string, through func(filecopy.Target) filecopy.Target) (filecopy.Set, error) {
		source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
		if err != nil {
			return filecopy.Set{}, err
		}
		names, root, _ := strings.Cut(at, "/")
		c, err := wire.Dial(ctx, wire.Options{NameNodes: strings.Split(names, ","), User: labhdfs.Superuser, Dial: dial})
		if err != nil {
			return filecopy.Set{}, err
		}
		defer c.Close()
		target, err := largeTarget(c, "/"+root)
		if err != nil {
			return filecopy.Set{}, err
		}
		job := filecopy.Job{Name: "large", Source: source, Target: through(target), LeaveRoot: true}
		return native.New(filepath.Join(dir, "mover")).Run(ctx, job, nil)
	}}
}

func largeTarget(c *wire.Client, root string) (*hdfs.Store, error) {
	return hdfs.New(hdfs.Config{Client: c, Namespace: "west", Root: root, PartSize: 4 << 20})
}

// TestLargeChild is the process that is killed; on its own it does nothing.
func TestLargeChild(t *testing.T) { largeVictim(nil).Child(t) }

// TestALargeFileGoesOn kills -9 a process in the middle of a large file, and counts what the next one sends.
func TestALargeFileGoesOn(t *testing.T) {
	west := sites(t, "west")[0]
	w := &ways{all: map[string]*proxy.Proxy{}}
	t.Cleanup(func() { w.each(func(p *proxy.Proxy) { _ = p.Close() }) })
	root := west.base(t)
	if err := west.client.Mkdirs(t.Context(), root, 0o755); err != nil {
		t.Fatal(err)
	}
	seen, err := largeTarget(west.client, root)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Join(west.cluster.Addrs(), ",") + root
	largeVictim(w.dial).GoesOn(t, t.TempDir(), at, at, seen, func() int64 {
		n := int64(0)
		w.each(func(p *proxy.Proxy) { n += p.Counts().Out })
		return n
	})
}
