package filecopytest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
)

// Names of what a parent tells the process that it will kill.
const (
	killDir = "UNDERSTUDY_KILL_DIR"
	killAt  = "UNDERSTUDY_KILL_AT"
)

// moverDir is the mover's own, in the directory of a victim.
const moverDir = "mover"

// pointMark begins the lines that name points.
const pointMark = "point: "

// Child runs the mover that is killed; on its own it does nothing.
func (v Victim) Child(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	if _, err := v.run(t.Context(), dir, os.Getenv(killAt), func(where string) { fmt.Println(pointMark + where) }); err != nil {
		t.Fatal(err)
	}
}

// with opens the job, and lets something be done with it.
func (v Victim) with(ctx context.Context, dir, at string, say func(string), do func(Errand) error) error {
	e, err := v.Open(ctx, dir, at, say)
	if e.Close != nil {
		defer e.Close()
	}
	if err != nil {
		return err
	}
	return do(e)
}

func (v Victim) run(ctx context.Context, dir, at string, say func(string)) (set filecopy.Set, err error) {
	err = v.with(ctx, dir, at, say, func(e Errand) error {
		set, err = e.Run(ctx, e.Job, nil)
		return err
	})
	return set, err
}

// Setting is where a victim works.
type Setting struct {
	// Dir is a directory of this machine, and At the address of the store.
	Dir, At string
	// Ground is the source; nil is the folder source in Dir.
	Ground scenery.Ground
	// Read reads a file of the store as others do, by its path; filecopy.ErrNotFound when there is none.
	Read func(ctx context.Context, path string) (string, error)
}

// Killed is a tree with a first version of it in the store.
type Killed struct {
	*testing.T
	Setting
	victim Victim
	point  func(where string)
	// versions are those that the store showed as sets, one after the other.
	versions []int
}

// Begin makes the first set in a store.
func (v Victim) Begin(t *testing.T, s Setting) *Killed {
	t.Helper()
	if s.Ground == nil {
		s.Ground = folder(filepath.Join(s.Dir, "source"))
	}
	k := &Killed{T: t, Setting: s, victim: v, point: func(string) {}}
	k.next(0)
	k.must(k.run(0))
	k.settles(nil)
	return k
}

func (k *Killed) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// next brings the source to a version.
func (k *Killed) next(version int) {
	k.Helper()
	k.must(k.victim.Change(k.Context(), k.Ground, version))
}

// run runs the job in this process. Its set must be that of a version, when none is left to be shown first.
func (k *Killed) run(version int) error {
	set, err := k.victim.run(k.Context(), k.Dir, k.At, func(where string) { k.point(where) })
	if err != nil || version < 0 {
		return err
	}
	if files := len(k.victim.Scene(-1, version)); set.Files != int64(files) {
		return fmt.Errorf("the set has %d files, not %d", set.Files, files)
	}
	return nil
}

// Course is what the store went through so far.
func (k *Killed) Course() scenery.Course { return k.victim.course(k.versions) }

// Movers kills one mover after the other while readers look at the store, and lets each go on with what the one before left: one in three times what
// it left at the store alone, as when the member is lost with its data directory. It gives the version that the store shows then.
func (k *Killed) Movers() int {
	k.Helper()
	kills, random := scenery.Kills(k, k.victim.Kills)
	w := scenery.Look(k.victim.Readers, k.victim.Paths(), func(ctx context.Context, path string) (string, error) {
		got, err := k.Read(ctx, path)
		if errors.Is(err, filecopy.ErrNotFound) {
			err = scenery.ErrAbsent
		}
		return got, err
	})
	defer w.Stop()
	died, lost := map[string]int{}, 0
	for version := 1; version <= kills; version++ {
		k.next(version)
		died[k.killAfter(k.victim.Least+random.IntN(k.victim.Span))]++
		if random.IntN(3) == 0 {
			k.must(os.RemoveAll(filepath.Join(k.Dir, moverDir)))
			lost++
		}
		k.settles(w)
	}
	// The first may have to show a set that was left.
	for _, version := range []int{-1, kills} {
		k.must(k.run(version))
		k.settles(w)
	}
	reads := w.Stop()
	k.shows(kills, kills)
	for _, f := range k.watched(kills).Faults(w) {
		k.Errorf("a reader saw what it must not: %s", f)
	}
	k.Logf("%d kills (%v), %d data directories lost, %d reads; sets of a source that is held still: %v", kills, died, lost, reads, k.versions)
	return kills
}

// watched is what readers may have seen.
func (k *Killed) watched(last int) scenery.Course {
	if k.victim.Still {
		return k.Course()
	}
	var all []int
	for n := range last + 1 {
		all = append(all, n)
	}
	return k.victim.course(all)
}

// settles looks which set the store shows now that nothing runs. Of a source that is held still it is one version of it, which a file that each
// version replaces tells. A process shows one set at most.
func (k *Killed) settles(w *scenery.Watch) {
	k.Helper()
	if !k.victim.Still {
		return
	}
	number := 0
	k.must(k.victim.with(k.Context(), k.Dir, k.At, func(string) {}, func(e Errand) error {
		s, err := e.Standing(k.Context(), e.Job)
		if err == nil && s.Published != nil {
			number = int(s.Published.Number)
		}
		return err
	}))
	if number == len(k.versions) {
		return
	}
	got, err := k.Read(k.Context(), k.victim.Path(0))
	version, verr := k.victim.Version(0, got)
	if err = cmp.Or(err, verr); err != nil || number != len(k.versions)+1 {
		k.Fatalf("set %d is shown, after %d: %v", number, len(k.versions), err)
	}
	k.versions = append(k.versions, version)
	if w != nil {
		w.Shown(number - 1)
	}
}

// killAfter runs the child, and kills it after it has passed a number of points. It gives the last one. A child that comes to its end before
// must do so without an error.
func (k *Killed) killAfter(points int) (last string) {
	k.Helper()
	self, err := os.Executable()
	k.must(err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	// The race detector would have the child linger for a second where it comes to its end.
	child.Env = append(os.Environ(), killDir+"="+k.Dir, killAt+"="+k.At, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	out, err := child.StdoutPipe()
	k.must(err)
	k.must(child.Start())
	var rest []string
	ended := false
	for lines := bufio.NewScanner(out); points > 0 && !ended; {
		ended = !lines.Scan()
		where, point := strings.CutPrefix(lines.Text(), pointMark)
		switch {
		case point:
			last = where
			points--
		case !ended:
			rest = append(rest, lines.Text())
		}
	}
	if !ended {
		_ = child.Process.Kill()
		// The exit status of a process that was killed says nothing.
		_ = child.Wait()
		return last
	}
	if err := child.Wait(); err != nil {
		k.Errorf("a mover that nobody killed: %v\n%s", err, strings.Join(rest, "\n"))
	}
	return "its end"
}

// shows wants the tree to be in one of the versions from first to last, path by path.
func (k *Killed) shows(first, last int) {
	k.Helper()
	var scenes []scenery.Scene
	for n := first; n <= last; n++ {
		scenes = append(scenes, k.victim.Scene(-1, n))
	}
	for _, p := range k.victim.Paths() {
		got, err := k.Read(k.Context(), p)
		now := ""
		if err == nil {
			now = scenery.Digest(got)
		} else if !errors.Is(err, filecopy.ErrNotFound) {
			k.Error(err)
			continue
		}
		if !slices.ContainsFunc(scenes, func(s scenery.Scene) bool { return s[p].Digest == now }) {
			k.Errorf("%s is %.40q (%s), %v; want version %d to %d", p, got, now, err, first, last)
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
		k.point = func(string) {
			mu.Lock()
			defer mu.Unlock()
			if points++; points != at {
				return
			}
			if err := kill(); err != nil {
				k.Error(err)
			}
		}
		err := k.run(-1)
		k.point = func(string) {}
		if points < at {
			k.must(err)
			k.shows(version, version)
			return
		}
		k.shows(version-1, version)
		if err != nil {
			k.Logf("killed at call %d: %v", at, err)
			k.must(k.run(version))
		}
		k.shows(version, version)
	}
}
