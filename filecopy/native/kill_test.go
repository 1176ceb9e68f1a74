package native

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// Names of what the parent tells the process that it will kill.
const (
	killDir  = "UNDERSTUDY_KILL_DIR"
	killRuns = "UNDERSTUDY_KILLS"
	killSeed = "UNDERSTUDY_KILL_SEED"
)

// killFiles are in the tree, of which some have several parts' worth of chunks.
const killFiles = 12

func killPath(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// killContent tells by itself whether it is whole: its length and number are in each piece.
func killContent(i, version int) string {
	n := 1 + i*97
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

func killJob(dir string) (filecopy.Job, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Job{}, err
	}
	target, err := local.New(local.Config{Root: filepath.Join(dir, "target")})
	return filecopy.Job{Name: "killed", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 10, MaxShare: 1}}, err
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	job, err := killJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := New(filepath.Join(dir, "mover"))
	m.hook = func(point string) error {
		fmt.Println(point)
		return nil
	}
	if _, err := m.Run(context.Background(), job, nil); err != nil {
		t.Fatal(err)
	}
}

// TestKilledAnywhere kills -9 a process at random points of a run while readers look at the target, and lets the next one go on.
func TestKilledAnywhere(t *testing.T) {
	kills, seed := 60, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(killRuns)); err == nil {
		kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv(killSeed), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%s=%d", killSeed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for i := range killFiles {
		if err := os.MkdirAll(filepath.Join(dir, "source", filepath.Dir(killPath(i))), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	job, err := killJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := func(version int) {
		for i := range killFiles {
			writeOver(t, filepath.Join(dir, "source", killPath(i)), killContent(i, version))
		}
	}
	next(0)
	if _, err := New(filepath.Join(dir, "mover")).Run(t.Context(), job, nil); err != nil {
		t.Fatal(err)
	}
	stop := readers(t, filepath.Join(dir, "target"))
	for version := 1; version <= kills; version++ {
		next(version)
		killAfter(t, dir, random.IntN(3*killFiles))
	}
	set, err := New(filepath.Join(dir, "mover")).Run(t.Context(), job, nil)
	stop()
	if err != nil {
		t.Fatal(err)
	}
	if set, err = New(filepath.Join(dir, "mover")).Run(t.Context(), job, nil); err != nil || set.Files != killFiles {
		t.Fatalf("set = %+v, %v", set, err)
	}
	for i := range killFiles {
		got, err := os.ReadFile(filepath.Join(dir, "target", killPath(i)))
		if err != nil || string(got) != killContent(i, kills) {
			t.Errorf("%s is %.40q, %v", killPath(i), got, err)
		}
	}
}

// writeOver replaces a file in one step.
func writeOver(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o644), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// killAfter runs the child, and kills it after it has passed a number of points, or when it is done.
func killAfter(t *testing.T, dir string, points int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	// The race detector would have the child linger for a second where it comes to its end.
	child.Env = append(os.Environ(), killDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for points > 0 && lines.Scan() {
		points--
	}
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
}

// readers read file after file without pause until stop is called: each must be there, and whole. Two are as good as many, which
// would only slow down what they watch.
func readers(t *testing.T, root string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for first := range 2 {
		all.Go(func() {
			for i := first; ctx.Err() == nil; i = (i + 1) % killFiles {
				got, err := os.ReadFile(filepath.Join(root, killPath(i)))
				if errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is absent", killPath(i))
					return
				}
				if err != nil || !whole(i, string(got)) {
					t.Errorf("%s is %.40q (%d bytes), %v", killPath(i), got, len(got), err)
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
