package s3_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// Names of what the parent tells the process that it will kill, and what makes the test longer or repeats one.
const (
	killDir  = "UNDERSTUDY_KILL_DIR"
	killURL  = "UNDERSTUDY_KILL_URL"
	killRuns = "UNDERSTUDY_KILLS"
	killSeed = "UNDERSTUDY_KILL_SEED"
)

// killFiles are in the tree; the last one has several parts.
const killFiles = 9

const killRoot = "killed/tree"

func killPath(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// killContent tells by itself whether it is whole: its length and number are in each piece.
func killContent(i, version int) string {
	n := 1 + i*97
	if i == killFiles-1 {
		n = partSize / 8
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

// killJob copies a local tree into the bucket.
func killJob(dir, url string) (filecopy.Job, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Job{}, err
	}
	target, err := s3.New(s3.Config{
		Endpoint: s3.Endpoint{URL: url, Region: versitygw.Region, Keys: labKeys}, Bucket: bucket, Root: killRoot, PartSize: partSize,
	})
	return filecopy.Job{Name: "killed", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 10, MaxShare: 1}}, err
}

// before is a target that says when it is called.
type before struct {
	filecopy.Target
	say func()
}

func (b before) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	b.say()
	return b.Target.Begin(ctx, lot, e)
}

func (b before) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	b.say()
	return b.Target.Write(ctx, h, p, r)
}

func (b before) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	b.say()
	return b.Target.Seal(ctx, h, e, sum)
}

func (b before) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	b.say()
	return b.Target.Publish(ctx, s, e)
}

func (b before) Keep(ctx context.Context, name string, r io.Reader) error {
	b.say()
	return b.Target.Keep(ctx, name, r)
}

func (b before) Discard(ctx context.Context, lot string) error {
	b.say()
	return b.Target.Discard(ctx, lot)
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	job, err := killJob(dir, os.Getenv(killURL))
	if err != nil {
		t.Fatal(err)
	}
	job.Target = before{job.Target, func() { fmt.Println("call") }}
	if _, err := native.New(filepath.Join(dir, "mover")).Run(context.Background(), job, nil); err != nil {
		t.Fatal(err)
	}
}

// killed is a job whose movers or servers die.
type killed struct {
	*testing.T
	site *site
	dir  string
	job  filecopy.Job
}

func newKilled(t *testing.T) *killed {
	k := &killed{T: t, site: boot(t), dir: t.TempDir()}
	for i := range killFiles {
		k.must(os.MkdirAll(filepath.Join(k.dir, "source", filepath.Dir(killPath(i))), 0o755))
	}
	var err error
	k.job, err = killJob(k.dir, k.site.server.Endpoint())
	k.must(err)
	k.next(0)
	k.must(k.run())
	return k
}

func (k *killed) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// next makes a version of the source.
func (k *killed) next(version int) {
	for i := range killFiles {
		path := filepath.Join(k.dir, "source", killPath(i))
		k.must(errors.Join(os.WriteFile(path+".new", []byte(killContent(i, version)), 0o644), os.Rename(path+".new", path)))
	}
}

func (k *killed) run() error {
	_, err := native.New(filepath.Join(k.dir, "mover")).Run(k.Context(), k.job, nil)
	return err
}

// get reads an object with the client library alone.
func get(ctx context.Context, c *minio.Client, key string) (string, error) {
	o, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = o.Close() }()
	b, err := io.ReadAll(o)
	return string(b), err
}

func (k *killed) client() *minio.Client {
	c, err := minio.New(k.site.server.Addr(), &minio.Options{
		Creds: credentials.NewStaticV4(versitygw.AccessKey, versitygw.SecretKey, ""), Region: versitygw.Region,
	})
	k.must(err)
	return c
}

// shows wants every file to be there in one version.
func (k *killed) shows(version int) {
	k.Helper()
	c := k.client()
	for i := range killFiles {
		got, err := get(k.Context(), c, killRoot+"/"+killPath(i))
		if err != nil || got != killContent(i, version) {
			k.Errorf("%s is %.40q, %v; want version %d", killPath(i), got, err, version)
		}
	}
}

// watch reads every file all the time until stop is called: it must be there, and whole.
func (k *killed) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	c := k.client()
	for i := range killFiles {
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := get(ctx, c, killRoot+"/"+killPath(i))
				if ctx.Err() == nil && (err != nil || !whole(i, got)) {
					k.Errorf("%s is %.40q (%d bytes), %v", killPath(i), got, len(got), err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// TestKilledAnywhere kills -9 a process at random calls of its store while readers look at the bucket, and lets the next one go on.
func TestKilledAnywhere(t *testing.T) {
	kills, seed := 8, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(killRuns)); err == nil {
		kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv(killSeed), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%s=%d", killSeed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	k := newKilled(t)
	stop := k.watch()
	for version := 1; version <= kills; version++ {
		k.next(version)
		k.killAfter(1 + random.IntN(5*killFiles))
	}
	err := k.run()
	stop()
	k.must(err)
	k.must(k.run())
	k.shows(kills)
}

// killAfter runs the child, and kills it after it has made a number of calls, or when it is done.
func (k *killed) killAfter(calls int) {
	k.Helper()
	self, err := os.Executable()
	k.must(err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), killDir+"="+k.dir, killURL+"="+k.site.server.Endpoint())
	out, err := child.StdoutPipe()
	k.must(err)
	k.must(child.Start())
	lines := bufio.NewScanner(out)
	for calls > 0 && lines.Scan() {
		calls--
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
}

// TestKilledServer kills -9 the server at some call of a run, with other calls in flight, and starts it again. The run lives through it, or the
// next one ends it; each file is whole in between.
func TestKilledServer(t *testing.T) {
	k := newKilled(t)
	target := k.job.Target
	version := 0
	for at := 1; ; at += 11 {
		version++
		k.next(version)
		var mu sync.Mutex
		calls := 0
		k.job.Target = before{target, func() {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls == at {
				k.must(errors.Join(k.site.server.Kill(), k.site.server.Restart(context.Background())))
			}
		}}
		err := k.run()
		if calls < at {
			k.must(err)
			break
		}
		k.old(version)
		if err != nil {
			t.Logf("killed at call %d: %v", at, err)
			k.must(k.run())
		}
		k.shows(version)
	}
}

// old wants each file in the given version or the one before.
func (k *killed) old(version int) {
	k.Helper()
	c := k.client()
	for i := range killFiles {
		got, err := get(k.Context(), c, killRoot+"/"+killPath(i))
		if err != nil || got != killContent(i, version) && got != killContent(i, version-1) {
			k.Errorf("%s is %.40q, %v; want version %d or the one before", killPath(i), got, err, version)
		}
	}
}

// TestTornContentIsSeen is the control of the readers.
func TestTornContentIsSeen(t *testing.T) {
	good := killContent(3, 7)
	if !whole(3, good) {
		t.Error("whole content is not taken")
	}
	for _, bad := range []string{"", good[:len(good)-1], good[:len(good)/2] + killContent(3, 8)[len(good)/2:], killContent(4, 7)} {
		if whole(3, bad) {
			t.Errorf("%.40q is taken for whole", bad)
		}
	}
}
