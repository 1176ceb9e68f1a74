package native

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// state is what a run knows once its plan is complete. It is written with the plan, and lets the run go on without listing again.
type state struct {
	Format int `json:"format"`
	// ID names the plan, and nothing else has the name; empty in plans of earlier versions.
	ID  string       `json:"id,omitempty"`
	Set filecopy.Set `json:"set"`
	// Base and BaseNumber are the published set on which the plan stands.
	Base       string   `json:"base"`
	BaseNumber int64    `json:"baseNumber"`
	Plan       planFile `json:"plan"`
	Moves      layer    `json:"moves"`
	Shift      layer    `json:"shift"`
	Dirs       layer    `json:"dirs"`
	Tally      tally    `json:"tally"`
	Quarantine string   `json:"quarantine"`
	// Assembly is where files of new directories are staged, so that they need not be moved there; empty where they are staged as others are.
	// No other plan of the same number has the name: what a mover that was thought dead still writes is nowhere near.
	Assembly string `json:"assembly,omitempty"`
}

// planFile is the plan in the data directory.
type planFile struct {
	Digest string `json:"digest"`
}

// run is one run of a job.
type run struct {
	*desk
	head  head
	state state
	view  filecopy.View
	// live is the target's tree, to ask for sums of what stands there.
	live filecopy.View
	gate *gate
	pace *throttle
	// restaging lets one file at a time be copied anew while a set is published; it is the exception.
	restaging sync.Mutex
	// claim is that of the plan.
	claim claim
}

// setPrefix begins the names of all that one set keeps.
func setPrefix(number int64) string { return fmt.Sprintf("set-%d/", number) }

func setName(number int64, list string) string { return setPrefix(number) + list }

func (d *desk) lot(number int64) string { return fmt.Sprintf("%s-%d", d.job.Name, number) }

func (d *desk) pinPrefix() string { return "understudy-" + d.job.Name + "-" }

// Run makes one set.
func (m *Mover) Run(ctx context.Context, j filecopy.Job, report func(filecopy.Progress)) (filecopy.Set, error) {
	if j.Source == nil {
		return filecopy.Set{}, failure("US609", understudy.KindInvalid, "run", "a run needs a source", nil)
	}
	d, err := m.open(j, report)
	if err != nil {
		return filecopy.Set{}, err
	}
	defer d.close()
	set, err := d.run(ctx)
	return set, named("run", "", err)
}

func (d *desk) run(ctx context.Context) (filecopy.Set, error) {
	r, rd, err := d.begin(ctx)
	if err != nil {
		return filecopy.Set{}, err
	}
	if rd == nil {
		if rd, err = r.advance(ctx, filecopy.PhaseReady); err != nil {
			return filecopy.Set{}, err
		}
	}
	return d.publish(ctx, r.head, *rd, r)
}

// begin reads what is at the target; the ready set is nil when there is none.
func (d *desk) begin(ctx context.Context) (*run, *ready, error) {
	d.meter.change(func(p *filecopy.Progress) { p.Phase = filecopy.PhasePlan })
	h, err := d.vault.head(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &run{desk: d, head: h, pace: newThrottle(d.job.Limits, d.clock)}
	r.gate = newGate(d.job.Limits.MinParallel, d.job.Limits.MaxParallel, d.clock)
	d.meter.allowed = r.gate.allowed
	rd, ok, err := d.vault.ready(ctx, h)
	if err != nil || !ok {
		return r, nil, err
	}
	return r, &rd, nil
}

// advance plans the run and, unless it is to stop there, stages it; then it gives the ready set.
func (r *run) advance(ctx context.Context, to filecopy.Phase) (*ready, error) {
	defer r.closeViews()
	if err := r.cleanRemains(ctx, r.head); err != nil {
		return nil, err
	}
	root, err := r.probe(ctx)
	if err != nil {
		return nil, err
	}
	resumed, err := r.resume(ctx, root)
	if err == nil && !resumed {
		err = r.plan(ctx, root)
	}
	if err != nil {
		return nil, err
	}
	if to == filecopy.PhasePlan {
		return nil, nil
	}
	rd, err := r.makeReady(ctx)
	return &rd, err
}

// Stage makes a set ready, or only plans it.
func (m *Mover) Stage(ctx context.Context, j filecopy.Job, to filecopy.Phase, report func(filecopy.Progress)) (filecopy.Set, error) {
	if j.Source == nil || to != filecopy.PhasePlan && to != filecopy.PhaseReady {
		return filecopy.Set{}, failure("US609", understudy.KindInvalid, "stage", "staging needs a source, and ends when the set is planned or ready", nil)
	}
	d, err := m.open(j, report)
	if err != nil {
		return filecopy.Set{}, err
	}
	defer d.close()
	r, rd, err := d.begin(ctx)
	if err != nil {
		return filecopy.Set{}, named("stage", "", err)
	}
	switch {
	case rd != nil && rd.Set.Run == j.Run:
		return rd.Set, nil
	case rd != nil:
		return filecopy.Set{}, failure("US620", understudy.KindRefused, "stage", "a set of another run is ready", filecopy.ErrGuard)
	case j.Run != "" && r.head.Set.Run == j.Run:
		return r.head.Set, nil
	}
	rd, err = r.advance(ctx, to)
	if err != nil || rd == nil {
		return r.state.Set, named("stage", "", err)
	}
	return rd.Set, nil
}

// probe looks at the source's root: a tree that is not there, or is another one than before, is never taken for an empty one.
func (r *run) probe(ctx context.Context) (filecopy.Root, error) {
	root, err := r.job.Source.Probe(ctx)
	if errors.Is(err, filecopy.ErrNotFound) {
		e := failure("US602", understudy.KindRefused, "probe", "the source "+r.job.Source.Describe().Name+" is not there", errors.Join(filecopy.ErrGuard, err))
		e.Fix = "mount or restore the source; nothing was deleted"
		return root, e
	}
	if err != nil {
		return root, err
	}
	was := r.head.Set.Root
	if was == "" || was == root.Identity || r.job.Accept.Replaced == root.Identity || r.job.Origin != "" && r.head.Set.Number == 0 {
		return root, nil
	}
	e := failure("US603", understudy.KindRefused, "probe", "the root of the source is another one than at the last published set", &filecopy.Unaccepted{Replaced: root.Identity})
	e.Why = fmt.Sprintf("it was %s and is %s: not mounted, or made anew", was, root.Identity)
	e.Fix = "if it was replaced on purpose, accept its new identity by name"
	return root, e
}

// resume takes up an unfinished run whose plan still stands: on the published set, on the same root and with its pin.
func (r *run) resume(ctx context.Context, root filecopy.Root) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(r.runDir(), "run.json"))
	if err != nil {
		return false, nil
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil || s.Format != formatVersion {
		return false, nil
	}
	if r.job.Run != "" && s.Set.Run != r.job.Run {
		return false, nil
	}
	c, _, err := r.vault.claimed(ctx, s.Set.Number, s.ID)
	if err != nil || c.Plan.ID != s.ID {
		return false, err
	}
	if s.Base != r.head.Set.ID || s.BaseNumber != r.head.Set.Number || s.Set.Root != root.Identity {
		return false, nil
	}
	if r.openView(ctx, s.Set.Pin) != nil {
		return false, nil
	}
	r.state, r.claim = s, c
	return true, nil
}

// openView opens the source at a pin.
func (r *run) openView(ctx context.Context, at filecopy.Pin) error {
	if pinner, ok := r.job.Source.(filecopy.Snapshotter); ok && at.Name != "" {
		pins, err := pinner.Pins(ctx)
		if err != nil {
			return err
		}
		if !holds(pins, at) {
			return filecopy.ErrPinLost
		}
	}
	v, err := r.job.Source.Open(ctx, at)
	r.view = v
	return err
}

func holds(pins []filecopy.Pin, p filecopy.Pin) bool {
	for _, q := range pins {
		if q.Name == p.Name && q.Identity == p.Identity {
			return true
		}
	}
	return false
}

// plan begins a run: it pins the source, finds out what is to be done and writes that down.
func (r *run) plan(ctx context.Context, root filecopy.Root) error {
	number := r.head.Set.Number + 1
	r.state = state{}
	if err := r.succeed(ctx, root, number); err != nil {
		return err
	}
	if err := os.MkdirAll(r.runDir(), 0o700); err != nil {
		return directoryFailed(err)
	}
	set := filecopy.Set{Number: number, SourceTime: root.Now.UTC(), Root: root.Identity, Asked: r.clock().UTC(), Run: r.job.Run}
	if err := r.pin(ctx, &set); err != nil {
		return err
	}
	r.state = state{Format: formatVersion, ID: r.state.ID, Set: set, Base: r.head.Set.ID, BaseNumber: r.head.Set.Number}
	r.state.Quarantine = filecopy.QuarantineName(r.clock(), fmt.Sprintf("%s-%d", r.job.Name, number))
	if _, ok := r.job.Target.(filecopy.Assembler); ok && set.Consistent {
		// Files of a live tree may be gone when they are read, and what was written of them would be shown with the directory.
		r.state.Assembly = r.planLot(number, r.state.ID)
	}
	if err := r.at("plan"); err != nil {
		return err
	}
	if err := r.writePlan(ctx); err != nil {
		return err
	}
	if err := r.guard(); err != nil {
		return err
	}
	r.state.Set.Copied, r.state.Set.CopiedBytes = r.state.Tally.Copies, r.state.Tally.CopyBytes
	r.state.Set.Vanished = r.state.Tally.Vanished
	raw, err := json.Marshal(r.state)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.runDir(), "run.json"), raw)
}

// pin holds the source still where it can, and opens it. Pins that earlier runs of the job left, but the published set's, go.
func (r *run) pin(ctx context.Context, set *filecopy.Set) error {
	pinner, ok := r.job.Source.(filecopy.Snapshotter)
	if !ok || !r.job.Source.Describe().Capabilities.Snapshots {
		return r.openView(ctx, filecopy.Pin{})
	}
	if err := r.unpin(ctx, pinner, r.head.Set.Pin.Name); err != nil {
		return err
	}
	name := fmt.Sprintf("%s%d", r.pinPrefix(), set.Number)
	if r.job.Run != "" {
		name += "." + r.job.Run
	}
	p, err := pinner.Pin(ctx, name)
	if err != nil {
		return err
	}
	set.Pin, set.Consistent = p, true
	if !p.Time.IsZero() {
		set.SourceTime = p.Time.UTC()
	}
	if err := r.building(ctx, set); err != nil {
		return err
	}
	return r.openView(ctx, p)
}

// mostBuilding is how many files under construction a set names.
const mostBuilding = 1000

// building notes the files that a snapshot does not hold still.
func (r *run) building(ctx context.Context, set *filecopy.Set) error {
	b, ok := r.job.Source.(filecopy.Builder)
	if !ok {
		return nil
	}
	return b.Building(ctx, func(p filecopy.Path) error {
		if len(set.Building) == mostBuilding {
			set.ManyBuilding = true
			return nil
		}
		set.Building = append(set.Building, p)
		return nil
	})
}

// unpin removes the job's pins but one.
func (d *desk) unpin(ctx context.Context, pinner filecopy.Snapshotter, but string) error {
	pins, err := pinner.Pins(ctx)
	if err != nil {
		return err
	}
	for _, p := range pins {
		number, ours := strings.CutPrefix(p.Name, d.pinPrefix())
		number, _, _ = strings.Cut(number, ".")
		if !ours || p.Name == but || strings.ContainsFunc(number, notDigit) {
			continue
		}
		if err := pinner.Unpin(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func notDigit(c rune) bool { return c < '0' || c > '9' }

// guard refuses a plan that deletes more than it may. Nothing has been touched yet.
func (r *run) guard() error {
	t, was := r.state.Tally, r.head.Set
	if was.Files > 0 && was.Files+t.Files == 0 && r.job.Accept.Deletes < t.Deletes {
		e := failure("US604", understudy.KindRefused, "guard", "the source holds no file any more", &filecopy.Unaccepted{Deletes: t.Deletes})
		e.Why = fmt.Sprintf("the last published set has %d files", was.Files)
		e.Fix = fmt.Sprintf("if it was emptied on purpose, accept %d deletes", t.Deletes)
		return e
	}
	if t.Deletes == 0 || t.Deletes <= r.job.Accept.Deletes {
		return nil
	}
	share := float64(t.Deletes) / float64(max(was.Entries, t.Present, t.Deletes))
	if t.Deletes <= r.job.Guard.MaxDeletes && share <= r.job.Guard.MaxShare {
		return nil
	}
	e := failure("US605", understudy.KindRefused, "guard", fmt.Sprintf("the set would delete %d entries, %.1f%% of the target", t.Deletes, 100*share), &filecopy.Unaccepted{Deletes: t.Deletes})
	e.Why = fmt.Sprintf("the guard allows %d entries and %.1f%%", r.job.Guard.MaxDeletes, 100*r.job.Guard.MaxShare)
	e.Fix = fmt.Sprintf("look at the source; if this is meant, accept %d deletes", t.Deletes)
	return e
}

// makeReady stages everything and says so at the target. From then on the source is not needed any more.
func (r *run) makeReady(ctx context.Context) (ready, error) {
	defer r.closeViews()
	var err error
	if r.live, err = r.job.Target.Open(ctx, filecopy.Pin{}); err != nil {
		return ready{}, err
	}
	t := r.state.Tally
	r.meter.change(func(p *filecopy.Progress) {
		p.Phase, p.Listed, p.TotalFiles, p.TotalBytes = filecopy.PhaseStage, t.Listed, t.Copies, t.CopyBytes
	})
	items, fix, err := r.stage(ctx)
	if err == nil && r.job.ReadBack {
		items, fix, err = r.prove(ctx, items, fix)
	}
	if err != nil {
		return ready{}, err
	}
	r.meter.change(func(p *filecopy.Progress) { p.Phase = filecopy.PhaseReady })
	s := r.state
	s.Set.Entries = r.head.Set.Entries + t.Entries + fix.Entries
	s.Set.Files = r.head.Set.Files + t.Files + fix.Files
	s.Set.Bytes = r.head.Set.Bytes + t.Bytes + fix.Bytes
	s.Set.ID = identity(r.head.Set.ID, s.Moves, s.Shift, items)
	rd := ready{
		Format: formatVersion, Set: s.Set, Base: s.Base, Moves: s.Moves, Shift: s.Shift, Items: items, Dirs: s.Dirs,
		Lot: r.lot(s.Set.Number), Quarantine: s.Quarantine, Assembly: s.Assembly, Plan: s.ID,
		Clears: t.Clears,
	}
	if err := r.at("ready"); err != nil {
		return ready{}, err
	}
	return rd, r.vault.keepDocument(ctx, readyName, rd)
}

// closeViews closes what the run has open.
func (r *run) closeViews() {
	for _, v := range []filecopy.View{r.view, r.live} {
		if v != nil {
			_ = v.Close()
		}
	}
	r.view, r.live = nil, nil
}

// restage copies a file of a ready set anew, from where the set was read. A live source may have moved on; then the file is as it is now.
func (r *run) restage(ctx context.Context, rd ready, it item) (item, error) {
	r.restaging.Lock()
	defer r.restaging.Unlock()
	if r.view == nil {
		if err := r.openView(ctx, rd.Set.Pin); err != nil {
			return it, err
		}
		r.state.Set = rd.Set
	}
	s := &stager{run: r} // What it stages is read back at once where files are.
	if err := r.gate.enter(ctx); err != nil {
		return it, err
	}
	again := it
	again.Sealed, again.Expect, again.Sum, again.TargetVersion = filecopy.Sealed{}, it.Sum, filecopy.Checksum{}, ""
	again, err := s.copy(ctx, 0, again, nil)
	r.gate.leave(it.Size, false)
	if err == nil && again.Op == opSkip {
		err = filecopy.ErrNotFound
	}
	return again, err
}

// identity names a set by the one before and all that was changed.
func identity(base string, lists ...layer) string {
	h := sha256.New()
	h.Write([]byte(base))
	changed := base == ""
	for _, l := range lists {
		for _, s := range l.Segments {
			changed = true
			h.Write([]byte(s.Digest))
		}
	}
	if !changed {
		return base
	}
	return hex.EncodeToString(h.Sum(nil))
}
