package hdfs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// killFiles are always in the tree; the last one has several parts.
const killFiles = 5

// victim copies between two clusters by snapshots. It may be killed at each request to the target's NameNode, so nothing stands between the mover
// and its store.
func victim() filecopytest.Victim {
	last := func(i int) int { return i / (killFiles - 1) * 200_000 }
	return filecopytest.Victim{
		Tree: scenery.Tree{Files: killFiles, Pieces: last}, Kills: 8, Least: 1, Span: 150, Readers: 1, Still: true, Whole: true, Open: openKilled,
	}
}

// route says where a job leads, in the words of another process.
type route struct {
	East, West []string
	From, To   string
}

func openKilled(ctx context.Context, dir, at string, say func(string)) (filecopytest.Errand, error) {
	var r route
	e := filecopytest.Errand{Mover: native.New(filepath.Join(dir, "mover"))}
	if err := json.Unmarshal([]byte(at), &r); err != nil {
		return e, err
	}
	var clients []*wire.Client
	e.Close = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	open := func(name, root string, o wire.Options, snapshots bool) (*hdfs.Store, error) {
		o.User = labhdfs.Superuser
		c, err := wire.Dial(ctx, o)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
		return hdfs.New(hdfs.Config{Client: c, Namespace: name, Root: root, Snapshots: snapshots, PartSize: 1 << 20})
	}
	source, err := open("east", r.From, wire.Options{NameNodes: r.East}, true)
	if err != nil {
		return e, err
	}
	target, err := open("west", r.To, wire.Options{NameNodes: r.West, Dial: overheard(r.West, say)}, false)
	e.Job = filecopy.Job{Name: "killed", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return e, err
}

// overheard opens connections, of which those to NameNodes tell of each request before it is sent.
func overheard(names []string, say func(string)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil || !slices.Contains(names, address) {
			return c, err
		}
		return &overheardConn{c, say}, nil
	}
}

type overheardConn struct {
	net.Conn
	say func(string)
}

// Write tells the first of the requests that go out together.
func (c *overheardConn) Write(b []byte) (int, error) {
	if call := called(b); call != "" {
		c.say(call)
	}
	return c.Conn.Write(b)
}

// called finds the name of a call: a text of its length, with the name of the protocol behind it.
func called(b []byte) string {
	const protocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
	end := bytes.Index(b, []byte(protocol)) - 2
	for n := 1; end-n > 0; n++ {
		if int(b[end-n-1]) == n {
			return string(b[end-n : end])
		}
	}
	return ""
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a mover between two clusters at random requests, while a reader looks at the target without pause
// and the target's NameNode writes down every edit (inotify); each mover goes on with what the one before left.
func TestKilledAnywhere(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	r.must(r.east.client.AllowSnapshots(t.Context(), r.from))
	at, err := json.Marshal(route{East: r.east.cluster.Addrs(), West: r.west.cluster.Addrs(), From: r.from, To: r.to})
	r.must(err)
	k := victim().Begin(t, filecopytest.Setting{
		Dir: t.TempDir(), At: string(at), Ground: labhdfs.Users{Client: judge(t), Access: r.east.cluster.Access(), Root: r.from}, Read: r.read,
	})
	before, err := judge(t).List(t.Context(), r.west.cluster.Access(), r.to)
	r.must(err)
	mark, err := judge(t).Mark(t.Context(), r.west.cluster.Access())
	r.must(err)
	k.Movers()
	r.same()
	events, err := judge(t).Events(t.Context(), r.west.cluster.Access(), mark)
	r.must(err)
	// The list of a set at the target ends the edits that show it.
	shown := func(e labhdfs.Event) bool {
		return e.Type == "rename" && path.Base(e.To) == "head.json" && strings.HasPrefix(e.To, path.Dir(r.to))
	}
	for _, line := range labhdfs.Unexplained(before.Paths(), events, r.to, k.Course().Paths(), shown) {
		t.Errorf("the NameNode saw %s", line)
	}
	t.Logf("%d edits, all explained", len(events))
}

// read reads a file of the target from its beginning to its end. One that is replaced meanwhile is opened again: its blocks are gone, not its name.
func (r *trial) read(ctx context.Context, name string) (string, error) {
	absent := func(err error) error {
		if wire.IsNotFound(err) || errors.Is(err, wire.ErrNotDirectory) {
			return filecopy.ErrNotFound
		}
		return err
	}
	for {
		was, err := r.west.client.Stat(ctx, r.to+"/"+name)
		if err != nil {
			return "", absent(err)
		}
		f, err := r.west.client.Open(ctx, r.to+"/"+name)
		if err != nil {
			return "", absent(err)
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err == nil {
			return string(b), nil
		}
		now, again := r.west.client.Stat(ctx, r.to+"/"+name)
		if again != nil || now.ID == was.ID {
			return "", absent(errors.Join(err, again))
		}
	}
}
