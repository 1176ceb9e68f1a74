package hdfs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// killJob names what the parent tells the process that it will kill.
const killJob = "UNDERSTUDY_KILL_JOB"

// killFiles are in the tree; the last one has several parts.
const killFiles = 12

func killPath(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// killContent tells by itself whether it is whole: its length and number are in each piece.
func killContent(i, version int) string {
	n := 1 + i*97
	if i == killFiles-1 {
		n = 200_000
	}
	return strings.Repeat(fmt.Sprintf("<%d.%d.%d>", i, version, n), n)
}

// whole says whether content is that of some version of a file.
func whole(i int, content string) bool {
	piece, _, ok := strings.Cut(content, ">")
	parts := strings.Split(strings.TrimPrefix(piece, "<"), ".")
	if !ok || len(parts) != 3 {
		return false
	}
	version, err := strconv.Atoi(parts[1])
	return err == nil && content == killContent(i, version)
}

// errand is a job as another process is told of it.
type errand struct {
	Mover    string
	East     []string
	West     []string
	From, To string
}

// open opens the job; who asks closes the clients.
func (e errand) open(ctx context.Context) (filecopy.Job, func(), error) {
	j := filecopy.Job{Name: "killed", Guard: filecopy.Guard{MaxDeletes: 10, MaxShare: 1}}
	var clients []*wire.Client
	done := func() {
		for _, c := range clients {
			c.Close()
		}
	}
	var stores []*hdfs.Store
	for _, s := range []struct {
		names      []string
		name, root string
		snapshots  bool
	}{{e.East, "east", e.From, true}, {e.West, "west", e.To, false}} {
		c, err := wire.Dial(ctx, wire.Options{NameNodes: s.names, User: labhdfs.Superuser})
		if err != nil {
			done()
			return j, nil, err
		}
		clients = append(clients, c)
		store, err := hdfs.New(hdfs.Config{Client: c, Namespace: s.name, Root: s.root, Snapshots: s.snapshots, PartSize: 1 << 20})
		if err != nil {
			done()
			return j, nil, err
		}
		stores = append(stores, store)
	}
	j.Source, j.Target = stores[0], stores[1]
	return j, done, nil
}

// run runs the job to its end.
func (e errand) run(ctx context.Context) (filecopy.Set, error) {
	j, done, err := e.open(ctx)
	if err != nil {
		return filecopy.Set{}, err
	}
	defer done()
	return native.New(e.Mover).Run(ctx, j, nil)
}

// telling is a target that says when it is called.
type telling struct{ filecopy.Target }

func (b telling) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	fmt.Println("begin")
	return b.Target.Begin(ctx, lot, e)
}

func (b telling) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	fmt.Println("write")
	return b.Target.Write(ctx, h, p, r)
}

func (b telling) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	fmt.Println("seal")
	return b.Target.Seal(ctx, h, e, sum)
}

func (b telling) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	fmt.Println("publish")
	return b.Target.Publish(ctx, s, e)
}

func (b telling) Keep(ctx context.Context, name string, r io.Reader) error {
	fmt.Println("keep")
	return b.Target.Keep(ctx, name, r)
}

func (b telling) Discard(ctx context.Context, lot string) error {
	fmt.Println("discard")
	return b.Target.Discard(ctx, lot)
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) {
	text := os.Getenv(killJob)
	if text == "" {
		return
	}
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	j, done, err := e.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	j.Target = telling{j.Target}
	if _, err := native.New(e.Mover).Run(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
}

// TestKilledAnywhere kills -9 a mover between two clusters at random calls of its target, while a reader looks at the target without pause
// and the target's NameNode writes down every edit (inotify); each mover goes on with what the one before left.
func TestKilledAnywhere(t *testing.T) {
	kills, random := filecopytest.Kills(t, 8)
	r := newTrial(t, wire.Options{}, wire.Options{})
	r.must(r.east.client.AllowSnapshots(t.Context(), r.from))
	e := errand{Mover: t.TempDir(), East: r.east.cluster.Addrs(), West: r.west.cluster.Addrs(), From: r.from, To: r.to}
	r.version(0)
	_, err := e.run(t.Context())
	r.must(err)
	before, err := judge(t).List(t.Context(), r.west.cluster.Access(), r.to)
	r.must(err)
	mark, err := judge(t).Mark(t.Context(), r.west.cluster.Access())
	r.must(err)
	stop := filecopytest.Watch(killFiles, func(ctx context.Context, i int) (string, error) { return r.read(ctx, killPath(i)) }, whole)
	met := map[string]int{}
	for version := 1; version <= kills; version++ {
		r.version(version)
		met[r.killAfter(e, 1+random.IntN(5*killFiles))]++
	}
	_, err = e.run(t.Context())
	reads, fault := stop()
	r.must(errors.Join(err, fault))
	set, err := e.run(t.Context())
	r.must(err)
	r.same()
	events, err := judge(t).Events(t.Context(), r.west.cluster.Access(), mark)
	r.must(err)
	for _, g := range labhdfs.Gaps(before.Paths(), events, r.to) {
		t.Errorf("the NameNode saw a gap: %s", g)
	}
	t.Logf("%d kills (%v), %d sets, %d reads of whole files, %d edits without a gap", kills, met, set.Number, reads, len(events))
}

// version replaces every file of the source in one step each.
func (r *trial) version(version int) {
	r.Helper()
	var files []labhdfs.File
	for i := range killFiles {
		files = append(files, labhdfs.File{Path: r.from + "/" + killPath(i), Data: []byte(killContent(i, version))})
	}
	r.must(judge(r.T).Put(r.Context(), r.east.cluster.Access(), files...))
}

// killAfter runs a mover of its own process, and kills it after it has made a number of calls, or when it is done. It gives where that was.
func (r *trial) killAfter(e errand, calls int) (last string) {
	r.Helper()
	text, err := json.Marshal(e)
	r.must(err)
	self, err := os.Executable()
	r.must(err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	// The race detector would have the child linger for a second where it comes to its end.
	child.Env = append(os.Environ(), killJob+"="+string(text), "GORACE=atexit_sleep_ms=0")
	out, err := child.StdoutPipe()
	r.must(err)
	r.must(child.Start())
	lines := bufio.NewScanner(out)
	for ; calls > 0 && lines.Scan(); calls-- {
		last = lines.Text()
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
	if last == "PASS" {
		return "its end"
	}
	return last
}

// read reads a file of the target from its beginning to its end. One that is replaced meanwhile is opened again: its blocks are gone, not its name.
func (r *trial) read(ctx context.Context, name string) (string, error) {
	for {
		was, err := r.west.client.Stat(ctx, r.to+"/"+name)
		if err != nil {
			return "", err
		}
		f, err := r.west.client.Open(ctx, r.to+"/"+name)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err == nil {
			return string(b), nil
		}
		now, again := r.west.client.Stat(ctx, r.to+"/"+name)
		if again != nil || now.ID == was.ID {
			return "", errors.Join(err, again)
		}
	}
}

// TestTornContentIsSeen is the control of the reader.
func TestTornContentIsSeen(t *testing.T) {
	good := killContent(3, 7)
	if !whole(3, good) {
		t.Error("whole content is not taken")
	}
	bad := []string{"", good[:len(good)-1], good[:len(good)/2] + killContent(3, 8)[len(good)/2:], killContent(4, 7)}
	if i := slices.IndexFunc(bad, func(s string) bool { return whole(3, s) }); i >= 0 {
		t.Errorf("%.40q is taken for whole", bad[i])
	}
}
