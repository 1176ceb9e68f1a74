package hdfs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
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
	return filecopytest.Victim{Files: killFiles, Pieces: last, Kills: 8, Least: 1, Span: 150, Readers: 1, Still: true, Whole: true, Open: openKilled}
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

// users change a tree by Hadoop's own client.
type users struct {
	judge *labhdfs.Client
	as    labhdfs.Access
	root  string
}

func (u users) Put(ctx context.Context, files map[string]string) error {
	var all []labhdfs.File
	for p, content := range files {
		all = append(all, labhdfs.File{Path: u.root + "/" + p, Data: []byte(content)})
	}
	return u.judge.Put(ctx, u.as, all...)
}

func (u users) Move(ctx context.Context, from, to string) error {
	return u.judge.Rename(ctx, u.as, u.root+"/"+from, u.root+"/"+to)
}

func (u users) Remove(ctx context.Context, p string) error {
	return u.judge.Remove(ctx, u.as, u.root+"/"+p)
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
		Dir: t.TempDir(), At: string(at), Ground: users{judge(t), r.east.cluster.Access(), r.from}, Read: r.read,
	})
	before, err := judge(t).List(t.Context(), r.west.cluster.Access(), r.to)
	r.must(err)
	mark, err := judge(t).Mark(t.Context(), r.west.cluster.Access())
	r.must(err)
	k.Movers()
	r.same()
	events, err := judge(t).Events(t.Context(), r.west.cluster.Access(), mark)
	r.must(err)
	for _, line := range unexplained(k.Course(), before.Paths(), events, r.to) {
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

// unexplained gives what edits show that the sets do not account for: a path that is missing although the set that is shown then has it, one that is
// back although that set has none, and one that no set has. The list of a set at the target ends the edits that show it.
func unexplained(c filecopytest.Course, before []string, events []labhdfs.Event, root string) (out []string) {
	var ends []int64
	scenes := []map[string]bool{entries(c.Scenes[0])}
	known := entries(c.Scenes...)
	for _, e := range events {
		p := e.Path
		if e.Type == "rename" {
			p = e.To
			if path.Base(p) == "head.json" && strings.HasPrefix(p, path.Dir(root)) {
				ends = append(ends, e.TxID)
			}
		}
		if inside, ok := strings.CutPrefix(p, root+"/"); ok && (e.Type == "rename" || e.Type == "create") && !known[inside] {
			out = append(out, fmt.Sprintf("%s, which no set has: %+v", inside, e))
		}
	}
	if len(ends) != len(c.Scenes)-1 {
		out = append(out, fmt.Sprintf("%d sets, of which %d were published", len(c.Scenes), len(ends)+1))
		return out
	}
	for _, s := range c.Scenes[1:] {
		scenes = append(scenes, entries(s))
	}
	// shown is the set to which an edit belongs.
	shown := func(tx int64) map[string]bool { return scenes[min(len(ends), 1+sum(ends, tx))] }
	for _, g := range labhdfs.Gaps(before, events, root) {
		p := strings.TrimPrefix(strings.TrimPrefix(g.Path, root), "/")
		if shown(g.From)[p] {
			out = append(out, fmt.Sprintf("a gap: %s", g))
		}
		if g.To != 0 && !shown(g.To)[p] {
			out = append(out, fmt.Sprintf("a return: %s", g))
		}
	}
	return out
}

// sum counts the numbers below another one.
func sum(all []int64, below int64) (n int) {
	for _, x := range all {
		if x < below {
			n++
		}
	}
	return n
}

// entries are all paths of scenes, with the directories above them and the root.
func entries(scenes ...filecopytest.Scene) map[string]bool {
	all := map[string]bool{"": true}
	for _, s := range scenes {
		for p := range s {
			for ; p != "."; p = path.Dir(p) {
				all[p] = true
			}
		}
	}
	return all
}

// TestUnexplainedEditsAreSeen is the control of the second witness.
func TestUnexplainedEditsAreSeen(t *testing.T) {
	has := func(paths ...string) filecopytest.Scene {
		s := filecopytest.Scene{}
		for _, p := range paths {
			s[p] = filecopytest.Shown{Digest: "x"}
		}
		return s
	}
	c := filecopytest.Course{Scenes: []filecopytest.Scene{has("a", "d/b"), has("a", "e/b"), has("a", "d/b")}, Sets: true}
	before := []string{"/t", "/t/a", "/t/d", "/t/d/b"}
	event := func(tx int64, kind, from, to string) labhdfs.Event {
		return labhdfs.Event{TxID: tx, Type: kind, Path: from, To: to}
	}
	good := []labhdfs.Event{
		event(1, "create", "/s/1", ""), event(2, "unlink", "/t/a", ""), event(2, "rename", "/s/1", "/t/a"), event(3, "rename", "/t/d", "/t/e"),
		event(4, "rename", "/s/h", "/s/head.json"), event(5, "rename", "/t/e", "/t/d"), event(6, "rename", "/s/h", "/s/head.json"),
	}
	if out := unexplained(c, before, good, "/t"); len(out) > 0 {
		t.Errorf("all is well, and it says %q", out)
	}
	for name, bad := range map[string][]labhdfs.Event{
		"unlinked, then renamed over": {event(1, "create", "/s/1", ""), event(2, "unlink", "/t/a", ""), event(3, "rename", "/s/1", "/t/a")},
		"written in place":            {event(1, "create", "/t/.a.temp", "")},
		"lost":                        {event(1, "unlink", "/t/a", "")},
		"a detour":                    {event(1, "rename", "/t/a", "/t/t"), event(2, "rename", "/t/t", "/t/a")},
		"back too early":              {event(1, "rename", "/t/d", "/t/e"), event(2, "rename", "/t/e", "/t/d")},
	} {
		if out := unexplained(c, before, slices.Concat(bad, good[3:]), "/t"); len(out) == 0 {
			t.Errorf("%s: nobody saw it", name)
		}
	}
	if out := unexplained(c, before, good[:5], "/t"); len(out) != 1 {
		t.Errorf("a set is missing, and it says %q", out)
	}
}
