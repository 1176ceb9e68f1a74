package hdfs

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// asked is a call as a NameNode got it.
type asked struct {
	method   string
	id       int32
	retry    int
	client   string
	argument []byte
}

// answered is what a NameNode says: a body, or the class of an exception; or it hangs up.
type answered struct {
	body proto.Message
	// class is an exception's; its message says little where none is given.
	class, message string
	hangUp         bool
}

// nameNode plays a NameNode without authentication, and gives its address.
func nameNode(t *testing.T, answer func(asked) answered) string {
	t.Helper()
	node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		if _, err := io.ReadFull(in, make([]byte, 7)); err != nil {
			return
		}
		for first := true; ; first = false {
			a, ok := readCall(in, first)
			if !ok {
				return
			}
			if first {
				continue
			}
			said := answer(a)
			if said.hangUp {
				return
			}
			_, _ = nc.Write(said.encode(a.id))
		}
	})
	return node.Address()
}

// readCall reads one call; the first of a connection only says who is calling.
func readCall(in *bufio.Reader, first bool) (asked, bool) {
	var n [4]byte
	if _, err := io.ReadFull(in, n[:]); err != nil {
		return asked{}, false
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(in, b); err != nil {
		return asked{}, false
	}
	head, rest, _ := proto.SplitDelimited(b)
	a, _ := proto.Parse(head, func(d *proto.Decoder) asked {
		var a asked
		for d.Next() {
			switch d.Number() {
			case 3:
				a.id = int32(d.Sint())
			case 4:
				a.client = d.String()
			case 5:
				a.retry = int(d.Sint())
			}
		}
		return a
	})
	if !first {
		method, argument, _ := proto.SplitDelimited(rest)
		a.method, _ = proto.Parse(method, readString)
		a.argument, _, _ = proto.SplitDelimited(argument)
	}
	return a, true
}

// encode gives the frame of an answer.
func (a answered) encode(id int32) []byte {
	h := proto.Message(nil).Uint(1, uint64(uint32(id)))
	var b []byte
	if a.class != "" {
		b = h.Uint(2, 1).String(4, a.class).String(5, cmp.Or(a.message, "because")+"\n\tat x").Delimited(make([]byte, 4))
	} else {
		b = a.body.Delimited(h.Uint(2, 0).Delimited(make([]byte, 4)))
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// wrapped gives an answer that holds one message.
func wrapped(m proto.Message) answered { return answered{body: proto.Message(nil).Bytes(1, m)} }

// defaults answers what Dial asks for, and passes all else on.
func defaults(next func(asked) answered) func(asked) answered {
	return func(a asked) answered {
		if a.method == "getServerDefaults" {
			return wrapped(proto.Message(nil).Uint(1, 1<<27).Uint(2, 512).Uint(4, 3).Uint(8, 2))
		}
		return next(a)
	}
}

// dialed gives a client of played NameNodes.
func dialed(t *testing.T, o Options) *Client {
	t.Helper()
	o.User = "ada"
	if o.RetryFor == 0 {
		o.RetryFor = time.Minute
	}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func standby(asked) answered { return answered{class: "org.apache.hadoop.ipc.StandbyException"} }

func TestACallGoesOnAtTheOtherNameNode(t *testing.T) {
	var first, second []asked
	var mu sync.Mutex
	one := nameNode(t, func(a asked) answered {
		mu.Lock()
		defer mu.Unlock()
		first = append(first, a)
		return standby(a)
	})
	two := nameNode(t, defaults(func(a asked) answered {
		mu.Lock()
		defer mu.Unlock()
		second = append(second, a)
		return answered{body: proto.Message(nil).Bool(1, true)}
	}))
	c := dialed(t, Options{NameNodes: []string{one, two}})
	if c.NameNode() != two {
		t.Errorf("calls go to %s", c.NameNode())
	}
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			if err := c.Mkdirs(t.Context(), "/d", 0o755); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	ids := map[int32]bool{}
	for _, a := range second {
		ids[a.id] = true
		if a.method != "mkdirs" || len(a.client) != 16 || a.client != first[0].client {
			t.Errorf("call %+v", a)
		}
	}
	if len(ids) != 32 {
		t.Errorf("%d numbers for 32 calls", len(ids))
	}
}

// An answer that was lost is asked for under the same number: so the server remembers, and does nothing twice.
// Who asks for the name of a namespace whose active NameNode is gone gets it from the other one, and calls go there from then on. Where both
// are gone it is told at once.
func TestANamespaceIsFoundAtTheOtherNameNode(t *testing.T) {
	var dead atomic.Int64
	name := proto.Message(nil).Bytes(4, proto.Message(nil).Uint(2, 7).String(3, "CID")).String(5, "3.4.1")
	node := func(number int64) string {
		return nameNode(t, defaults(func(a asked) answered {
			if dead.Load() >= number {
				return answered{hangUp: true}
			}
			return wrapped(name)
		}))
	}
	c := dialed(t, Options{NameNodes: []string{node(1), node(2)}, RetryFor: time.Hour})
	for dead.Store(0); dead.Load() < 2; dead.Add(1) {
		info, err := c.NamespaceInfo(t.Context())
		if err != nil || info.NamespaceID != 7 || info.ClusterID != "CID" || c.NameNode() != c.opts.NameNodes[dead.Load()] {
			t.Fatalf("%d are gone: %+v at %s, %v", dead.Load(), info, c.NameNode(), err)
		}
	}
	if _, err := c.NamespaceInfo(t.Context()); !IsUnavailable(err) {
		t.Errorf("of a namespace out of reach: %v", err)
	}
}

func TestARepeatKeepsItsNumber(t *testing.T) {
	var calls []asked
	var mu sync.Mutex
	address := nameNode(t, defaults(func(a asked) answered {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, a)
		return answered{hangUp: len(calls) < 3}
	}))
	c := dialed(t, Options{NameNodes: []string{address}})
	if err := c.Rename(t.Context(), "/a", "/b"); err != nil {
		t.Fatal(err)
	}
	for i, a := range calls {
		if a.id != calls[0].id || a.retry != i || a.client != calls[0].client || !slices.Equal(a.argument, calls[0].argument) {
			t.Errorf("attempt %d: %+v, the first %+v", i, a, calls[0])
		}
	}
	if len(calls) != 3 {
		t.Errorf("%d attempts", len(calls))
	}
}

func TestWhatIsNotRepeated(t *testing.T) {
	var count atomic.Int64
	class := ""
	address := nameNode(t, defaults(func(asked) answered {
		count.Add(1)
		return answered{class: class}
	}))
	c := dialed(t, Options{NameNodes: []string{address}})
	for _, class = range []string{"java.io.IOException", "x.SafeModeException", "x.AccessControlException"} {
		count.Store(0)
		if err := c.Mkdirs(t.Context(), "/d", 0o755); err == nil || count.Load() != 1 {
			t.Errorf("%s: %d attempts, %v", class, count.Load(), err)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	address := nameNode(t, defaults(standby))
	c := dialed(t, Options{NameNodes: []string{address, address}, RetryFor: 100 * time.Millisecond})
	err := c.Mkdirs(t.Context(), "/d", 0o755)
	if !IsStandby(err) || !IsRetriable(err) {
		t.Errorf("it ends with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Mkdirs(ctx, "/d", 0o755); !errors.Is(err, context.Canceled) {
		t.Errorf("without a context it ends with %v", err)
	}
	c.Close()
	if err := c.Mkdirs(t.Context(), "/d", 0o755); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close it ends with %v", err)
	}
}

func TestASilentNameNodeIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	silent := nameNode(t, defaults(func(asked) answered {
		<-release
		return answered{hangUp: true}
	}))
	defer close(release)
	c := dialed(t, Options{NameNodes: []string{silent}, CallTimeout: 50 * time.Millisecond, RetryFor: -1})
	if err := c.Mkdirs(t.Context(), "/d", 0o755); !errors.Is(err, ErrTimeout) || !IsRetriable(err) {
		t.Errorf("it ends with %v", err)
	}
}

// An empty file needs no DataNode; the NameNode may say no to its completion a few times.
func TestCompletionIsAskedForAgain(t *testing.T) {
	var completes atomic.Int64
	address := nameNode(t, defaults(func(a asked) answered {
		switch a.method {
		case "create":
			return wrapped(proto.Message(nil).Uint(1, 2).String(2, "").Uint(3, 0).Uint(13, 99))
		case "complete":
			return answered{body: proto.Message(nil).Bool(1, completes.Add(1) == 4)}
		}
		return answered{class: "x.UnexpectedException"}
	}))
	c := dialed(t, Options{NameNodes: []string{address}})
	w, err := c.Create(t.Context(), "/f", CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil || completes.Load() != 4 || w.ID() != 99 {
		t.Errorf("asked %d times, %v", completes.Load(), err)
	}
}

func TestEncryptionZonesAreRefused(t *testing.T) {
	address := nameNode(t, defaults(func(a asked) answered {
		if a.method == "create" {
			return answered{class: "org.apache.hadoop.hdfs.UnknownCryptoProtocolVersionException"}
		}
		return wrapped(proto.Message(nil).Uint(1, 0).Bool(3, false).Bool(5, true).Bytes(6, proto.Message(nil).Uint(1, 2)))
	}))
	c := dialed(t, Options{NameNodes: []string{address}})
	if _, err := c.Create(t.Context(), "/zone/f", CreateOptions{}); !errors.Is(err, ErrEncrypted) {
		t.Errorf("create: %v", err)
	}
	if _, err := c.Open(t.Context(), "/zone/f"); !errors.Is(err, ErrEncrypted) {
		t.Errorf("open: %v", err)
	}
}

// An older server takes no notice of the flag for plain files: what it makes is not ours to write, and is removed.
func TestStripedFilesAreNotWritten(t *testing.T) {
	var deleted atomic.Bool
	address := nameNode(t, defaults(func(a asked) answered {
		file := proto.Message(nil).Uint(1, 2).String(2, "").Uint(3, 0).Uint(13, 99).Bytes(17, proto.Message(nil).Uint(4, 1))
		switch a.method {
		case "create", "getFileInfo":
			return wrapped(file)
		case "delete":
			deleted.Store(true)
		}
		return answered{body: proto.Message(nil).Bool(1, true)}
	}))
	c := dialed(t, Options{NameNodes: []string{address}})
	if _, err := c.Create(t.Context(), "/ec/f", CreateOptions{}); !errors.Is(err, ErrStriped) || !deleted.Load() {
		t.Errorf("removed: %v, %v", deleted.Load(), err)
	}
}

// The end of a diff is both fields of the cursor empty: an index of -1 alone is only the end of a folder.
func TestADiffEndsByBothFields(t *testing.T) {
	page := func(name, path string, index int64) answered {
		entry := proto.Message(nil).String(1, name).Uint(2, 1).Bool(3, false).Uint(5, 7)
		return wrapped(proto.Message(nil).Bytes(2, entry).Bool(4, true).Bytes(5, proto.Message(nil).String(1, path).Int(2, index)))
	}
	pages := []answered{page("a", "dir", -1), page("b", "", 5), page("c", "", -1)}
	var next atomic.Int64
	address := nameNode(t, defaults(func(asked) answered { return pages[next.Add(1)-1] }))
	c := dialed(t, Options{NameNodes: []string{address}})
	var names string
	for e, err := range c.SnapshotDiff(t.Context(), "/r", "s1", "s2") {
		if err != nil {
			t.Fatal(err)
		}
		names += e.Path
	}
	if names != "abc" {
		t.Errorf("changes %q", names)
	}
}
