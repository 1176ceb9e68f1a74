package native

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Mover is the native mover. It is safe for concurrent use; calls of one job wait for nobody and are refused while another runs.
type Mover struct {
	dir  string
	hook func(point string) error
	// segment is how many items a segment of a list has; zero for the usual number.
	segment int64
	// often is how often what is staged is kept; zero for the usual time.
	often time.Duration
}

// New gives a mover that keeps its own state (the plan and journal of unfinished runs, and a cache of manifests) in a directory of
// this member. Losing that directory costs work, never data: a run is planned anew, and takes over what was sealed where the target is a Rescuer.
func New(dir string) *Mover { return &Mover{dir: dir} }

var _ filecopy.Mover = &Mover{}

// desk is what every call of a job works with.
type desk struct {
	job   filecopy.Job
	dir   string
	vault vault
	clock func() time.Time
	meter *meter
	hook  func(point string) error
	lock  *os.File
	often time.Duration
}

// open takes the job's directory.
func (m *Mover) open(j filecopy.Job, report func(filecopy.Progress)) (*desk, error) {
	if !fileName(j.Name) || j.Target == nil {
		return nil, failure("US609", understudy.KindInvalid, "job", "a job needs a target, and a name of letters, digits, '.', '_' and '-'", nil)
	}
	if to, ok := j.Target.(filecopy.Legible); ok && j.ReadBack {
		j.Target = to.Legible()
	}
	d := &desk{job: j, dir: filepath.Join(m.dir, j.Name), clock: j.Clock, hook: m.hook}
	if d.clock == nil {
		d.clock = time.Now
	}
	d.often = cmp.Or(m.often, keepEvery)
	d.meter = newMeter(d.clock, report)
	d.vault = vault{job: j.Name, keeper: j.Target, cache: filepath.Join(d.dir, "cache"), segment: m.segment}
	if err := os.MkdirAll(d.vault.cache, 0o700); err != nil {
		return nil, directoryFailed(err)
	}
	f, err := os.OpenFile(filepath.Join(d.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, directoryFailed(err)
	}
	// The kernel lets go of the lock when the process dies in any way.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, failure("US610", understudy.KindConflict, "job", "job "+j.Name+" is running already with this data directory", err)
	}
	d.lock = f
	return d, nil
}

func directoryFailed(err error) error {
	return failure("US611", understudy.KindRetry, "job", "the mover's data directory cannot be used", err)
}

func (d *desk) close() { _ = d.lock.Close() }

// at lets a test abort.
func (d *desk) at(point string) error {
	if d.hook == nil {
		return nil
	}
	return d.hook(point)
}

// runDir is where the state of an unfinished run lies.
func (d *desk) runDir() string { return filepath.Join(d.dir, "run") }

// Standing reads which set is published at the target, and which is ready.
func (m *Mover) Standing(ctx context.Context, j filecopy.Job) (filecopy.Standing, error) {
	v := vault{job: j.Name, keeper: j.Target}
	var s filecopy.Standing
	h, err := v.head(ctx)
	if err != nil {
		return s, named("read the standing of", "", err)
	}
	if h.Set.Number > 0 {
		s.Published = &h.Set
	}
	r, ok, err := v.ready(ctx, h)
	if err != nil || !ok {
		return s, named("read the standing of", "", err)
	}
	s.Ready = &r.Set
	s.Shown, err = v.shown(ctx, r)
	return s, named("read the standing of", "", err)
}

// ready reads the ready set; false when there is none. One that was published already, whose remains a crash left, is none, nor is one that a lost
// member had on its way when another one claimed the set, or when it was given up: its files may have been taken over, or are gone. What is being
// shown is what its publisher wrote down before it began, whatever came late for the document that was ready then.
func (v vault) ready(ctx context.Context, h head) (ready, bool, error) {
	r, ok, err := v.showing(ctx, h.Set.Number+1)
	if err != nil || ok {
		return r, ok, err
	}
	r = ready{}
	ok, err = v.document(ctx, readyName, &r)
	if err != nil || !ok || r.Set.Number <= h.Set.Number {
		return ready{}, false, err
	}
	if own, _, err := v.claimant(ctx, r); err != nil || !own {
		return ready{}, false, err
	}
	return r, true, nil
}

// showing reads the set of a number that is being shown; false when there is none. A mark that came when another plan had claimed the set counts for
// nothing: who wrote it was held up, and shows nothing without a lease.
func (v vault) showing(ctx context.Context, number int64) (ready, bool, error) {
	var r ready
	ok, err := v.document(ctx, showingName(number), &r)
	if err != nil || !ok || r.Set.Number != number {
		return ready{}, false, err
	}
	if _, other, err := v.claimant(ctx, r); err != nil || other {
		return ready{}, false, err
	}
	return r, true, nil
}

// shown says whether publishing of a ready set has begun. The mark of an earlier version names no plan.
func (v vault) shown(ctx context.Context, r ready) (bool, error) {
	var mark ready
	ok, err := v.document(ctx, showingName(r.Set.Number), &mark)
	return ok && (mark.Set.Number == 0 || mark.Plan == r.Plan), err
}

// Finish rolls the ready set forward.
func (m *Mover) Finish(ctx context.Context, j filecopy.Job, report func(filecopy.Progress)) (filecopy.Set, error) {
	d, err := m.open(j, report)
	if err != nil {
		return filecopy.Set{}, err
	}
	defer d.close()
	h, err := d.vault.head(ctx)
	if err != nil {
		return filecopy.Set{}, named("finish", "", err)
	}
	r, ok, err := d.vault.ready(ctx, h)
	if err != nil {
		return filecopy.Set{}, named("finish", "", err)
	}
	if !ok {
		return filecopy.Set{}, failure("US612", understudy.KindNotFound, "finish", "no set of job "+j.Name+" is ready", filecopy.ErrNothingReady)
	}
	return d.publish(ctx, h, r, nil)
}

// Drop gives up what is staged.
func (m *Mover) Drop(ctx context.Context, j filecopy.Job) error {
	d, err := m.open(j, nil)
	if err != nil {
		return err
	}
	defer d.close()
	h, err := d.vault.head(ctx)
	if err != nil {
		return named("drop", "", err)
	}
	r, ok, err := d.vault.ready(ctx, h)
	if err != nil {
		return named("drop", "", err)
	}
	if ok {
		if err := d.refuseShown(ctx, r); err != nil {
			return err
		}
	}
	// The document goes first: without it nobody believes in the rest.
	err = d.vault.keeper.Forget(ctx, d.vault.name(readyName))
	if err == nil {
		err = d.discard(ctx, h, h.Set.Number+1)
	}
	pinner, ok := j.Source.(filecopy.Snapshotter)
	if err == nil && ok && j.Source.Describe().Capabilities.Snapshots {
		err = d.unpin(ctx, pinner, h.Set.Pin.Name)
	}
	return named("drop", "", err)
}

func (d *desk) refuseShown(ctx context.Context, r ready) error {
	shown, err := d.vault.shown(ctx, r)
	if err != nil || !shown {
		return named("drop", "", err)
	}
	e := failure("US613", understudy.KindRefused, "drop", "part of the ready set is visible already", filecopy.ErrGuard)
	e.Fix = "finish it; it is staged whole at the target and needs no source"
	return e
}

// writeFile replaces a file of the data directory in one step, durably.
func writeFile(path string, content []byte) error {
	temp := path + ".part"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
