package storage_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/filecopy"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// sleeper stops a client right before it sends the first request of a name that it is to stop at.
type sleeper struct {
	mu      sync.Mutex
	at      string
	reached chan struct{}
	wake    chan struct{}
}

// sleepyConn is a connection of a sleeper's client.
type sleepyConn struct {
	net.Conn
	s *sleeper
}

// Write stops where it is to.
func (c *sleepyConn) Write(b []byte) (int, error) {
	c.s.mu.Lock()
	stop := c.s.at != "" && bytes.Contains(b, []byte(c.s.at))
	if stop {
		c.s.at = ""
	}
	c.s.mu.Unlock()
	if stop {
		close(c.s.reached)
		<-c.s.wake
	}
	return c.Conn.Write(b)
}

// dial opens connections that stop.
func (s *sleeper) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &sleepyConn{c, s}, nil
}

// halts stops a mover in the middle of calls that change what readers see, bars its folder, gives the tree to users, and wakes the mover.
func (c *court) halts() {
	dir := filecopy.Entry{Path: "d", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o711, Owner: "late", Group: "late", Modified: 1e12}}
	made := dir
	made.Path = "new"
	for _, x := range []struct {
		name, stop string
		do         func(filecopy.Target) error
	}{
		{"a new directory", "rename2", func(s filecopy.Target) error { return s.MakeDirectory(c.Context(), made) }},
		{"a retirement", "rename2", func(s filecopy.Target) error { return s.Retire(c.Context(), "d/a", "q") }},
		{"a move", "getFileInfo", func(s filecopy.Target) error { return s.Move(c.Context(), "d/a", "b") }},
		{"attributes", "getFileInfo", func(s filecopy.Target) error {
			return s.SetAttributes(c.Context(), "d", dir.Attributes, filecopy.AllFields)
		}},
		{"attributes of a directory made again", "getFileInfo", func(s filecopy.Target) error { return s.MakeDirectory(c.Context(), dir) }},
	} {
		before, after, err := c.late(x.stop, x.do)
		if lines := before.Diff(after, 10); err == nil || len(lines) > 0 {
			c.Errorf("%s: error %v; the tree differs: %v", x.name, err, lines)
		}
	}
	// A request that is on its way when the folder is barred is not stopped; those behind it are.
	_, after, err := c.late("setOwner", func(s filecopy.Target) error {
		return s.SetAttributes(c.Context(), "d", dir.Attributes, filecopy.AllFields)
	})
	if e, _ := after.Find("/late/tree/d"); err == nil || e.Owner != "late" || e.Mode != 0o750 {
		c.Errorf("a request on its way: %v; the directory is %+v", err, e)
	}
}

// late gives the tree before a mover wakes up, and after.
func (c *court) late(stop string, do func(filecopy.Target) error) (before, after labhdfs.Tree, err error) {
	c.Helper()
	const root = "/late/tree"
	_ = c.judge.Remove(c.Context(), c.as(east), "/late")
	c.must(c.judge.Put(c.Context(), c.as(east), labhdfs.File{Path: root + "/d/a", Data: []byte("old")}))
	s := &sleeper{reached: make(chan struct{}), wake: make(chan struct{})}
	// East signs its calls only: west's are not to be read on the wire.
	kerberos := c.kerberos()
	kerberos.DataProtection = wire.Integrity
	config := place.HDFSConfig{Login: place.Login{Kerberos: kerberos, Keytab: us}, Secret: c.secret, Options: wire.Options{NameNodes: c.clusters[east].Addrs()}}
	awake := place.HDFS(config)
	defer awake.Close()
	config.Options.Dial = s.dial
	sleepy := place.HDFS(config)
	defer sleepy.Close()
	store, err := sleepy.Tree(root).Store(c.Context(), "e1", false)
	c.must(err)
	c.must(store.Keep(c.Context(), "note", strings.NewReader("the mover was here")))
	s.mu.Lock()
	s.at = stop
	s.mu.Unlock()
	result := make(chan error, 1)
	go func() { result <- do(store) }()
	select {
	case <-s.reached:
	case err := <-result:
		c.Fatalf("it never sent %s: %v", stop, err)
	}
	c.must(awake.Tree(root).Bar(c.Context(), "e1", "halted-e1"))
	c.must(c.judge.Put(c.Context(), c.as(east), labhdfs.File{Path: root + "/d/a", Data: []byte("the users' own")}))
	mode, then := 0o750, time.Now().Add(-time.Hour).UnixMilli()
	c.must(c.judge.Set(c.Context(), c.as(east), root+"/d", labhdfs.Attributes{Mode: &mode, MTime: &then}))
	before, err = c.judge.Dump(c.Context(), c.as(east), root)
	c.must(err)
	// An answer about the folder is older than it may be.
	<-time.After(300 * time.Millisecond)
	close(s.wake)
	done := <-result
	after, err = c.judge.Dump(c.Context(), c.as(east), root)
	c.must(err)
	return before, after, done
}

// sweeps changes times alone, which no difference of snapshots tells, and what lies at the target.
func (c *court) sweeps() {
	file, then := root+"/first/d0/f3", time.Now().Add(-48*time.Hour).UnixMilli()
	c.must(c.judge.Set(c.Context(), c.as(east), file, labhdfs.Attributes{MTime: &then}))
	at := func() int64 {
		tree, err := c.judge.List(c.Context(), c.as(west), file)
		c.must(err)
		e, _ := tree.Find(file)
		return e.MTime
	}
	c.do(understudy.Replicate, control.Committed)
	if at() == then {
		c.Error("the difference told of times alone, so the next part proves nothing")
	}
	c.plane.Do(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Relist}}, control.Committed)
	c.same()
	c.must(c.judge.Put(c.Context(), c.as(west), labhdfs.File{Path: root + "/first/d0/f0", Data: []byte("drifted")}))
	c.must(c.judge.Remove(c.Context(), c.as(west), file))
	c.plane.Do(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}, control.Committed)
	c.same()
}

// quotas sets some above the root at west, and asks the doctor.
func (c *court) quotas() {
	client := c.opener(west)
	defer client.Close()
	u, err := client.QuotaUsage(c.Context(), "/data")
	c.must(err)
	c.must(client.SetQuota(c.Context(), "/data", u.Names+3, u.SpaceConsumed+(1<<40)))
	found, err := c.plane.Doctor(c.Context(), "contoso")
	c.must(err)
	c.must(client.SetQuota(c.Context(), "/data", wire.QuotaNone, wire.QuotaNone))
	var texts []string
	for _, f := range found.Workloads[0].Findings {
		if f.Code == "US741" && (f.Level != "ok" || !strings.Contains(f.Summary, "quotas included; the tree holds ") || f.Object.Site != west) {
			c.Errorf("of the room the doctor says %+v", f)
		}
		if f.Code == "US721" || f.Code == "US741" {
			texts = append(texts, f.Level+": "+f.Summary)
		}
	}
	if len(texts) != 2 || !strings.HasPrefix(texts[0], "warning: /data has a quota; left are 3 of ") || !strings.Contains(texts[0], "1 TiB of ") {
		c.Errorf("the doctor found %q", texts)
	}
	st, err := c.plane.Status(c.Context(), "contoso")
	c.must(err)
	if sweeps := st.Workloads[0].Links[0].Schedule.Sweeps; len(sweeps) != 2 || sweeps[0].Done.IsZero() || sweeps[1].Done.IsZero() {
		c.Errorf("status says %+v", sweeps)
	}
}
