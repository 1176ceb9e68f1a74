package adls_test

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

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	lab "github.com/understudy-dr/understudy/lab/adls"
)

// Names of what the parent tells the process that it will kill, and what makes the test longer or repeats one.
const (
	killDir  = "UNDERSTUDY_KILL_DIR"
	killURL  = "UNDERSTUDY_KILL_URL"
	killRuns = "UNDERSTUDY_KILLS"
	killSeed = "UNDERSTUDY_KILL_SEED"
)

// killFiles are in the tree; the last ones have several appends.
const killFiles = 9

const killRoot = "killed/tree"

func killPath(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// killContent tells by itself whether it is whole: its length and number are in each piece.
func killContent(i, version int) string {
	n := 1 + i*97
	return strings.Repeat(fmt.Sprintf("<%d.%d.%d>", i, version, n), n)
}

// versionOf gives the version of a file that some content is; false when it is none, or torn.
func versionOf(i int, content string) (int, bool) {
	piece, _, ok := strings.Cut(content, ">")
	parts := strings.Split(strings.TrimPrefix(piece, "<"), ".")
	if !ok || len(parts) != 3 {
		return 0, false
	}
	version, err := strconv.Atoi(parts[1])
	return version, err == nil && content == killContent(i, version)
}

// killJob copies a local tree into the file system.
func killJob(dir, url string) (filecopy.Job, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Job{}, err
	}
	target, err := adls.New(adls.Config{URL: url, Keys: labKeys, FileSystem: lake, Root: killRoot, PartSize: 1000, NoOwners: true})
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
	must(t, err)
	job.Target = before{job.Target, func() { fmt.Println("call") }}
	_, err = native.New(filepath.Join(dir, "mover")).Run(context.Background(), job, nil)
	must(t, err)
}

// killed is a job whose movers and whose server die.
type killed struct {
	*testing.T
	server *lab.Server
	// blobs reads: the client for files panics when no answer comes.
	blobs *container.Client
	dir   string
	job   filecopy.Job
}

func newKilled(t *testing.T) *killed {
	k := &killed{T: t, server: lab.Boot(t), dir: t.TempDir()}
	key, err := container.NewSharedKeyCredential(lab.AccountName, lab.Key())
	must(t, err)
	k.blobs, err = container.NewClientWithSharedKeyCredential(client(t, k.server.Endpoint()).BlobURL(), key, nil)
	must(t, err)
	for i := range killFiles {
		must(t, os.MkdirAll(filepath.Join(k.dir, "source", filepath.Dir(killPath(i))), 0o755))
	}
	k.job, err = killJob(k.dir, k.server.Endpoint())
	must(t, err)
	k.next(0)
	must(t, k.run())
	return k
}

// next makes a version of the source.
func (k *killed) next(version int) {
	for i := range killFiles {
		path := filepath.Join(k.dir, "source", killPath(i))
		must(k.T, errors.Join(os.WriteFile(path+".new", []byte(killContent(i, version)), 0o644), os.Rename(path+".new", path)))
	}
}

func (k *killed) run() error {
	_, err := native.New(filepath.Join(k.dir, "mover")).Run(k.Context(), k.job, nil)
	return err
}

// get reads a file with the official client alone.
func (k *killed) get(ctx context.Context, i int) (string, error) {
	answer, err := k.blobs.NewBlobClient(killRoot+"/"+killPath(i)).DownloadStream(ctx, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(answer.Body)
	return string(b), errors.Join(err, answer.Body.Close())
}

// shows wants every file to be there in one of the versions.
func (k *killed) shows(versions ...int) {
	k.Helper()
	for i := range killFiles {
		got, err := k.get(k.Context(), i)
		version, whole := versionOf(i, got)
		if err != nil || !whole || version < versions[0] || version > versions[len(versions)-1] {
			k.Errorf("%s is %.40q, %v; want version %v", killPath(i), got, err, versions)
		}
	}
}

// watch reads every file all the time until stop is called: it must be there, and whole.
func (k *killed) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range killFiles {
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := k.get(ctx, i)
				if _, whole := versionOf(i, got); ctx.Err() == nil && (err != nil || !whole) {
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

// TestKilledAnywhere kills -9 a process at random calls of its store while readers look at the files, and lets the next one go on; then it
// kills the server at calls of a run, with others in flight, and starts it again over its log.
func TestKilledAnywhere(t *testing.T) {
	kills, seed := 6, rand.Uint64()
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
		k.killAfter(1 + random.IntN(6*killFiles))
	}
	err := k.run()
	stop()
	must(t, err)
	must(t, k.run())
	k.shows(kills)
	k.killServer(kills)
}

// killAfter runs the child, and kills it after it has made a number of calls, or when it is done.
func (k *killed) killAfter(calls int) {
	k.Helper()
	self, err := os.Executable()
	must(k.T, err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), killDir+"="+k.dir, killURL+"="+k.server.Endpoint())
	out, err := child.StdoutPipe()
	must(k.T, err)
	must(k.T, child.Start())
	lines := bufio.NewScanner(out)
	for calls > 0 && lines.Scan() {
		calls--
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
}

// killServer kills the server at ever later calls. The run lives through it, or the next one ends it; each file is whole in between.
func (k *killed) killServer(version int) {
	target := k.job.Target
	for at := 1; ; at += 17 {
		version++
		k.next(version)
		var mu sync.Mutex
		calls := 0
		k.job.Target = before{target, func() {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls == at {
				must(k.T, errors.Join(k.server.Kill(), k.server.Restart(context.Background())))
			}
		}}
		err := k.run()
		if calls < at {
			must(k.T, err)
			k.shows(version)
			return
		}
		k.shows(version-1, version)
		if err != nil {
			k.Logf("killed at call %d: %v", at, err)
			must(k.T, k.run())
		}
		k.shows(version)
	}
}

// TestTornContentIsSeen is the control of the readers.
func TestTornContentIsSeen(t *testing.T) {
	good := killContent(3, 7)
	if version, whole := versionOf(3, good); version != 7 || !whole {
		t.Error("whole content is not taken")
	}
	for _, bad := range []string{"", good[:len(good)-1], good[:len(good)/2] + killContent(3, 8)[len(good)/2:], killContent(4, 7)} {
		if _, whole := versionOf(3, bad); whole {
			t.Errorf("%.40q is taken for whole", bad)
		}
	}
}
