package filecopytest

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

	"github.com/understudy-dr/understudy/filecopy"
)

// Names of what a parent tells the process that it will kill, and what makes a test longer or repeats one.
const (
	killDir  = "UNDERSTUDY_KILL_DIR"
	killAt   = "UNDERSTUDY_KILL_AT"
	killRuns = "UNDERSTUDY_KILLS"
	killSeed = "UNDERSTUDY_KILL_SEED"
)

// Victim is a mover between a local tree and a store that is killed -9. The store's test has a TestKilledChild that calls Child with it: that is
// the process that is killed.
type Victim struct {
	// Files are in the tree; Pieces says how often the piece of one is repeated in it, beyond what its number does, and may be nil.
	Files  int
	Pieces func(i int) int
	// Kills is how many movers are killed, each after Least points and up to Span-1 more.
	Kills, Least, Span int
	// Readers are how many read the target side by side.
	Readers int
	// Run copies dir/source to the store at an address, with dir/mover as the mover's, and calls say at each point where it may be killed.
	Run func(ctx context.Context, dir, at string, say func()) (filecopy.Set, error)
}

// Path gives the path of a file.
func (v Victim) Path(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// Content gives a version of a file. It tells by itself whether it is whole: its number, version and length are in each piece.
func (v Victim) Content(i, version int) string {
	n := 1 + i*97
	if v.Pieces != nil {
		n = max(n, v.Pieces(i))
	}
	return strings.Repeat(fmt.Sprintf("<%d.%d.%d>", i, version, n), n)
}

// Whole gives the version of a file that some content is; false when it is none, or torn.
func (v Victim) Whole(i int, content string) (version int, whole bool) {
	piece, _, ok := strings.Cut(content, ">")
	parts := strings.Split(strings.TrimPrefix(piece, "<"), ".")
	if !ok || len(parts) != 3 {
		return 0, false
	}
	version, err := strconv.Atoi(parts[1])
	return version, err == nil && content == v.Content(i, version)
}

// Child runs the mover that is killed; on its own it does nothing.
func (v Victim) Child(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	if _, err := v.Run(context.Background(), dir, os.Getenv(killAt), func() { fmt.Println("point") }); err != nil {
		t.Fatal(err)
	}
}

// Killed is a tree with a first version of it in the store.
type Killed struct {
	*testing.T
	victim Victim
	dir    string
	at     string
	read   func(ctx context.Context, path string) (string, error)
	point  func()
}

// Begin makes the first set in a store at an address. Read reads a file of the store as others do, by its path.
func (v Victim) Begin(t *testing.T, dir, at string, read func(ctx context.Context, path string) (string, error)) *Killed {
	t.Helper()
	k := &Killed{T: t, victim: v, dir: dir, at: at, read: read, point: func() {}}
	for i := range v.Files {
		k.must(os.MkdirAll(filepath.Dir(k.source(i)), 0o755))
	}
	k.next(0)
	k.must(k.run())
	return k
}

func (k *Killed) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *Killed) source(i int) string { return filepath.Join(k.dir, "source", k.victim.Path(i)) }

// next makes a version of the source, each file in one step.
func (k *Killed) next(version int) {
	k.Helper()
	for i := range k.victim.Files {
		path := k.source(i)
		k.must(errors.Join(os.WriteFile(path+".new", []byte(k.victim.Content(i, version)), 0o644), os.Rename(path+".new", path)))
	}
}

func (k *Killed) run() error {
	set, err := k.victim.Run(k.Context(), k.dir, k.at, func() { k.point() })
	if err == nil && set.Files != int64(k.victim.Files) {
		err = fmt.Errorf("the set has %d files, not %d", set.Files, k.victim.Files)
	}
	return err
}

// Kills says how often to kill, and by which random numbers: as often as the test does and by new ones, unless the environment says
// otherwise. It logs the seed, so that a run can be repeated.
func Kills(t testing.TB, kills int) (int, *rand.Rand) {
	t.Helper()
	seed := rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(killRuns)); err == nil {
		kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv(killSeed), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%s=%d", killSeed, seed)
	return kills, rand.New(rand.NewPCG(seed, 0))
}

// Movers kills one mover after the other while readers look at the store, and lets each go on with what the one before left. It gives the
// version that the store shows then.
func (k *Killed) Movers() int {
	k.Helper()
	kills, random := Kills(k, k.victim.Kills)
	stop := k.watch()
	for version := 1; version <= kills; version++ {
		k.next(version)
		k.killAfter(k.victim.Least + random.IntN(k.victim.Span))
	}
	err := k.run()
	stop()
	k.must(err)
	k.must(k.run())
	k.shows(kills, kills)
	return kills
}

// killAfter runs the child, and kills it after it has passed a number of points, or when it is done.
func (k *Killed) killAfter(points int) {
	k.Helper()
	self, err := os.Executable()
	k.must(err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	// The race detector would have the child linger for a second where it comes to its end.
	child.Env = append(os.Environ(), killDir+"="+k.dir, killAt+"="+k.at, "GORACE=atexit_sleep_ms=0")
	out, err := child.StdoutPipe()
	k.must(err)
	k.must(child.Start())
	lines := bufio.NewScanner(out)
	for points > 0 && lines.Scan() {
		points--
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
}

// watch reads file after file without pause until stop is called: each must be there, and whole.
func (k *Killed) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for first := range k.victim.Readers {
		all.Go(func() {
			for i := first; ctx.Err() == nil; i = (i + 1) % k.victim.Files {
				got, err := k.read(ctx, k.victim.Path(i))
				if _, whole := k.victim.Whole(i, got); ctx.Err() == nil && (err != nil || !whole) {
					k.Errorf("%s is %.40q (%d bytes), %v", k.victim.Path(i), got, len(got), err)
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

// shows wants every file to be there, in one of the versions from first to last.
func (k *Killed) shows(first, last int) {
	k.Helper()
	for i := range k.victim.Files {
		got, err := k.read(k.Context(), k.victim.Path(i))
		version, whole := k.victim.Whole(i, got)
		if err != nil || !whole || version < first || version > last {
			k.Errorf("%s is %.40q, %v; want version %d to %d", k.victim.Path(i), got, err, first, last)
		}
	}
}

// Servers has the server killed and started again at ever later points of a run, with other calls in flight. The run lives through it, or the
// next one ends it; each file is whole in between. The version is the one that the store shows.
func (k *Killed) Servers(version, stride int, kill func() error) {
	k.Helper()
	for at := 1; ; at += stride {
		version++
		k.next(version)
		var mu sync.Mutex
		points := 0
		k.point = func() {
			mu.Lock()
			defer mu.Unlock()
			if points++; points != at {
				return
			}
			if err := kill(); err != nil {
				k.Error(err)
			}
		}
		err := k.run()
		k.point = func() {}
		if points < at {
			k.must(err)
			k.shows(version, version)
			return
		}
		k.shows(version-1, version)
		if err != nil {
			k.Logf("killed at call %d: %v", at, err)
			k.must(k.run())
		}
		k.shows(version, version)
	}
}

// Telling gives a target that says before each call that writes that it is made.
func Telling(to filecopy.Target, say func()) filecopy.Target { return telling{to, say} }

type telling struct {
	filecopy.Target
	say func()
}

func (b telling) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	b.say()
	return b.Target.Begin(ctx, lot, e)
}

func (b telling) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	b.say()
	return b.Target.Write(ctx, h, p, r)
}

func (b telling) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	b.say()
	return b.Target.Seal(ctx, h, e, sum)
}

func (b telling) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	b.say()
	return b.Target.Publish(ctx, s, e)
}

func (b telling) Keep(ctx context.Context, name string, r io.Reader) error {
	b.say()
	return b.Target.Keep(ctx, name, r)
}

func (b telling) Discard(ctx context.Context, lot string) error {
	b.say()
	return b.Target.Discard(ctx, lot)
}
