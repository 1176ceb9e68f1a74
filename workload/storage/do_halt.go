package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// halt makes later writes of a link's mover be refused. All that a mover shows comes out of its folder by a rename, and all that it takes away
// goes into it; so a file is put in the folder's place. Before that a set that is half shown is finished, since readers see part of it, and one
// that is ready and not shown is given up. One that is half shown and older than what a later link shows is given up as well: that link compared
// the whole tree first, so nothing of the older set is left to be put right, and to finish it would show it over newer files. Repeated, it finds
// the folder barred.
func halt(ctx context.Context, j *job) (understudy.Receipt, error) {
	var r understudy.Receipt
	for _, t := range j.w.cfg.Trees {
		finished, err := j.settleLinks(ctx, t.Path)
		if err != nil {
			return r, err
		}
		if finished {
			r.Warnings = append(r.Warnings, t.Path+" was half shown, and was finished")
		}
		for _, e := range j.args.Epochs {
			err := j.makeRoom(ctx, t.Path, e)
			if err == nil {
				err = j.tree(t.Path).Bar(ctx, live(e), halted(e))
			}
			if err != nil {
				return r, j.failed(t.Path, "bar the link's folder of", err)
			}
		}
		warnings, err := j.dropStaged(ctx, t.Path)
		if err != nil {
			return r, err
		}
		r.Warnings = append(r.Warnings, warnings...)
	}
	return r, nil
}

// makeRoom frees the name that a link's folder gets by its bar, by which alone it is found again. An unprotect leaves a folder there that keeps nothing but a
// quarantine, and protect begins under the same role; retention finds that by its other name as well. What keeps more is the link's own, of a halt that was
// cut off: what came back in its place since goes beside it.
func (j *job) makeRoom(ctx context.Context, tree string, e understudy.RoleEpoch) error {
	at := j.tree(tree)
	folders, err := at.Folders(ctx)
	if err != nil {
		return err
	}
	there := func(name string) bool { return slices.Contains(folders, place.Folder{Name: name}) }
	if !there(live(e)) || !there(halted(e)) {
		return nil
	}
	store, err := at.Store(ctx, halted(e), false)
	if err != nil {
		return err
	}
	kept, err := store.KeptNames(ctx, "")
	if err != nil || len(kept) > 0 {
		return err
	}
	other := ""
	for n := 1; other == "" || there(other); n++ {
		other = fmt.Sprintf("%s.%d", halted(e), n)
	}
	done, err := at.Rename(ctx, halted(e), other)
	if err == nil && !done {
		err = fmt.Errorf("%s cannot be moved to %s", halted(e), other)
	}
	return err
}

// settleLinks finishes what is half shown of the last link that shows something.
func (j *job) settleLinks(ctx context.Context, tree string) (finished bool, err error) {
	later := false
	for _, e := range slices.Backward(j.args.Epochs) {
		j.args.Folder = live(e)
		m, mover, err := j.moverJob(ctx, tree, false)
		var s filecopy.Standing
		if err == nil {
			s, err = mover.Standing(ctx, m)
		}
		if barred(err) || later && passable(ctx, err) {
			continue
		}
		if err == nil && halfShown(s) && !later {
			finished = true
			_, err = mover.Finish(ctx, m, j.progress())
		}
		if err != nil && !barred(err) {
			return finished, j.failed(tree, "finish the set of", err)
		}
		later = later || shows(s)
	}
	return finished, nil
}

// shows says whether a link shows a set, or a part of one.
func shows(s filecopy.Standing) bool { return s.Published != nil || halfShown(s) }

// barred says that an error comes of a folder that is barred already.
func barred(err error) bool {
	return errors.Is(err, filecopy.ErrChanged) || errors.Is(err, place.ErrBarred)
}

// passable says of an error about a link that is of no account any more that a halt may go on past it: the store answers otherwise, and lets us in.
func passable(ctx context.Context, err error) bool {
	away := place.TurnedAway(err) && !errors.Is(err, fs.ErrPermission)
	return err != nil && ctx.Err() == nil && !errors.Is(err, place.ErrUnreachable) && !away && !place.Doubtful(err)
}

// dropStaged gives up what halted links have staged, and says of which a later link has outlived more than that. Of links that were halted before it gives up
// what was outlived, and reads nothing: a halt that was cut off, and decided anew, knows only of links that are still there, but there is one such folder for
// each takeover that ever was. What is half shown there, and not outlived, stays as it is: nobody knows whose it is, and what was written since.
func (j *job) dropStaged(ctx context.Context, tree string) (warnings []string, err error) {
	epochs := slices.Clone(j.args.Epochs)
	folders, err := j.tree(tree).Folders(ctx)
	if err != nil {
		return nil, j.failed(tree, "look at understudy's folder of", err)
	}
	for _, f := range folders {
		if e := folderEpoch(f.Name); !f.Barred && e > 0 && f.Name == halted(e) {
			epochs = append(epochs, e)
		}
	}
	slices.Sort(epochs)
	later := false
	for _, e := range slices.Backward(slices.Compact(epochs)) {
		decided := slices.Contains(j.args.Epochs, e)
		if !decided && !later {
			continue
		}
		var s filecopy.Standing
		var unread error
		if decided {
			s, unread, err = j.dropLink(ctx, tree, halted(e), later)
		} else {
			err = j.tree(tree).Remove(ctx, halted(e)+"/staging")
		}
		switch {
		case err != nil && !(later && passable(ctx, err)):
			return warnings, j.failed(tree, "give up what is staged of", err)
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("%s: what %s staged is still there: %v", tree, halted(e), err))
		case unread != nil:
			warnings = append(warnings, fmt.Sprintf("%s: what %s keeps cannot be read, and what it staged was given up: %v", tree, halted(e), unread))
		case later && halfShown(s):
			warnings = append(warnings, fmt.Sprintf("%s: a set that was half shown in %s was older than what is shown, and was given up", tree, halted(e)))
		}
		later = later || shows(s)
	}
	return warnings, nil
}

// dropLink does so for one link, and gives how it stood; later says that a later one shows a set. Of one that is outlived it need not be possible to read it.
func (j *job) dropLink(ctx context.Context, tree, folder string, later bool) (s filecopy.Standing, unread, err error) {
	j.args.Folder = folder
	m, mover, err := j.moverJob(ctx, tree, false)
	if err == nil {
		s, err = mover.Standing(ctx, m)
	}
	switch {
	case later && (err == nil && halfShown(s) || passable(ctx, err)):
		// A mover takes nothing back of which readers saw a part.
		return s, err, j.tree(tree).Remove(ctx, folder+"/staging")
	case err != nil:
		return s, nil, err
	case halfShown(s):
		// It was begun to be shown between the look before the bar and the bar.
		_, err = mover.Finish(ctx, m, nil)
	}
	if err == nil {
		err = mover.Drop(ctx, m)
	}
	if at, ok := j.tree(tree).(place.Stager); ok && err == nil {
		err = at.Unstage(ctx, folder)
	}
	return s, nil, err
}

// proveHalt tries, in the name of each old link, to keep an object in its folder. It changes nothing: where it were not refused, the object would
// be out of sight.
func proveHalt(ctx context.Context, j *job) (understudy.Receipt, error) {
	p := j.proof(understudy.ProofHalt, time.Hour)
	p.Link = j.link()
	var names []string
	late := ""
	for _, e := range j.args.Epochs {
		names = append(names, live(e))
	}
	for _, t := range j.w.cfg.Trees {
		for _, folder := range names {
			refused, err := j.lateWriteRefused(ctx, t.Path, folder)
			if err != nil {
				return understudy.Receipt{}, err
			}
			if !refused {
				p.Complete, p.Missing = false, append(p.Missing, t.Path+": "+folder+" is not barred")
			}
		}
		text, err := j.unstaged(ctx, t.Path, &p)
		if err != nil {
			return understudy.Receipt{}, err
		}
		late = text
	}
	p.Means = fmt.Sprintf("a file stands where the mover's folder was (%s), beside %d trees: keeping an object in it was refused%s", strings.Join(names, ", "), len(j.w.cfg.Trees), late)
	return understudy.Receipt{Proofs: []understudy.Proof{p}}, nil
}

// unstaged wants nothing to be left of what halted links staged, where their folders keep it, and tells what may still come.
func (j *job) unstaged(ctx context.Context, tree string, p *understudy.Proof) (late string, err error) {
	at, ok := j.tree(tree).(place.Stager)
	if !ok {
		return "", nil
	}
	for _, e := range j.args.Epochs {
		lots, text, err := at.Staged(ctx, halted(e))
		if err != nil {
			return "", j.failed(tree, "look at what is staged of", err)
		}
		if late = "; nothing that it staged is left; " + text; lots > 0 {
			p.Complete, p.Missing = false, append(p.Missing, tree+": what "+live(e)+" staged is still there")
		}
	}
	return late, nil
}

func (j *job) lateWriteRefused(ctx context.Context, tree, folder string) (bool, error) {
	folders, err := j.tree(tree).Folders(ctx)
	if err != nil {
		return false, j.failed(tree, "look at understudy's folder of", err)
	}
	for _, f := range folders {
		if f.Name != folder || !f.Barred {
			continue
		}
		store, err := j.tree(tree).Store(ctx, folder, false)
		if err != nil {
			return false, j.failed(tree, "open", err)
		}
		return store.Keep(ctx, "late", strings.NewReader("late")) != nil, nil
	}
	return false, nil
}

// cutDetail is what the target showed when it was cut off from the old primary.
type cutDetail struct {
	Site understudy.Site `json:"site"`
	understudy.Published
	Trees map[string]filecopy.Set `json:"trees"`
}

// readCut says which set the target shows: nothing that the old primary did after it is at the target.
func readCut(ctx context.Context, j *job) (understudy.Receipt, error) {
	d := cutDetail{Site: j.step.Site, Trees: map[string]filecopy.Set{}}
	for _, t := range j.w.cfg.Trees {
		folder, err := j.w.newestHalted(ctx, j.step.Site, t.Path)
		if err != nil {
			return understudy.Receipt{}, err
		}
		j.args.Folder = folder
		m, mover, err := j.moverJob(ctx, t.Path, false)
		if err != nil {
			return understudy.Receipt{}, err
		}
		s, err := mover.Standing(ctx, m)
		if err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "read the standing of", err)
		}
		if s.Published != nil {
			d.Trees[t.Path] = *s.Published
			d.SourceTime = earliest(d.SourceTime, s.Published.Asked)
			d.Set = s.Published.ID
		}
	}
	doc := encode(d)
	return understudy.Receipt{
		Summary: fmt.Sprintf("%d trees show what was captured at %s", len(d.Trees), d.SourceTime.UTC().Format(time.RFC3339)),
		Detail:  doc, Keep: understudy.Keep{keepCut: doc},
	}, nil
}

// proveLevel says that the halted side shows nothing that the old side has not: a set is a copy, and the old side was never written to.
func proveLevel(_ context.Context, j *job) (understudy.Receipt, error) {
	p := j.proof(understudy.ProofLevel, 0)
	p.Means = "the halted side shows a copy of an earlier state of this side, and the link goes on from it"
	return understudy.Receipt{Proofs: []understudy.Proof{p}}, nil
}

// adopt lets a link that was halted, or only lost its role, go on under the present one: its folder gets the new role's name, and a file stays in
// the old one's place. Repeated, it finds the folder, and looks that the file is there.
func adopt(ctx context.Context, j *job) (understudy.Receipt, error) {
	for _, t := range j.w.cfg.Trees {
		at := j.tree(t.Path)
		folders, err := at.Folders(ctx)
		if err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "look at understudy's folder of", err)
		}
		if err := handOn(ctx, at, folders, j.args.Folder); err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "hand on the link's folder of", err)
		}
	}
	return understudy.Receipt{}, nil
}

// handOn gives the folder of the last link a name.
func handOn(ctx context.Context, at place.Tree, folders []place.Folder, name string) (err error) {
	from := newest(folders, isLive)
	last := newest(folders, func(f place.Folder) bool { return f.Name == halted(folderEpoch(f.Name)) })
	if from == name {
		return barAbsent(ctx, at, folders, name)
	}
	e := folderEpoch(last)
	halting := e > folderEpoch(from)
	if e > 0 && e == folderEpoch(from) {
		// Either a halt was cut off, and a late mover has made the other folder since, or an unprotect left this one for what is quarantined in it.
		if halting, err = keepsAny(ctx, at, last); err != nil {
			return err
		}
	}
	switch {
	case halting:
		// The halt may have been cut off before it put the file in its place.
		if err = at.Bar(ctx, live(e), last); err == nil {
			_, err = at.Rename(ctx, last, name)
		}
	case from != "":
		err = at.Bar(ctx, from, name)
	}
	return err
}

// keepsAny says whether a folder keeps anything of a link.
func keepsAny(ctx context.Context, at place.Tree, folder string) (bool, error) {
	store, err := at.Store(ctx, folder, false)
	if err != nil {
		return false, err
	}
	kept, err := store.KeptNames(ctx, "")
	return len(kept) > 0, err
}

// barAbsent bars the names of earlier links at which nothing stands, beside the folder of a link. It may have had one of them until an earlier attempt was cut off
// between its rename and the file, and nothing says which. Where a bar is no file in a folder's place it came first, so none is missing.
func barAbsent(ctx context.Context, at place.Tree, folders []place.Folder, folder string) error {
	if _, first := at.(place.Stager); first {
		return nil
	}
	for e := folderEpoch(folder) - 1; e > 0; e-- {
		if slices.ContainsFunc(folders, func(f place.Folder) bool { return f.Name == live(e) }) {
			continue
		}
		if err := at.Bar(ctx, live(e), folder); err != nil {
			return err
		}
	}
	return nil
}

// leave takes away all that understudy has at a site but the quarantines of links, in which deleted files wait for their time: the snapshots
// of the workload's links, the right to snapshots where understudy gave it, and its folders with stamps and manifests.
func leave(ctx context.Context, j *job) (understudy.Receipt, error) {
	r := understudy.Receipt{Keep: understudy.Keep{}}
	for _, name := range j.args.Drop {
		r.Keep[name] = nil
	}
	for _, t := range j.w.cfg.Trees {
		kept, err := j.leaveTree(ctx, t.Path)
		if err != nil {
			return r, j.failed(t.Path, "leave", err)
		}
		if len(kept) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s at %s: quarantines stay in %s, and nobody removes them any more: %s",
				t.Path, j.step.Site, place.FolderOf(t.Path), some(kept)))
		}
	}
	return r, nil
}

// leaveTree names the quarantines that stay.
func (j *job) leaveTree(ctx context.Context, tree string) (stay []string, err error) {
	at := j.tree(tree)
	store, err := at.Store(ctx, "", true)
	if err != nil {
		return nil, err
	}
	if err := j.clearStamp(ctx, store); err != nil {
		return nil, err
	}
	if err := j.unpin(ctx, store, at, tree); err != nil {
		return nil, err
	}
	folders, err := at.Folders(ctx)
	if err != nil {
		return nil, err
	}
	// Bars go last: while one is there no protection begins anew under its name, beside what the link kept under it.
	slices.SortStableFunc(folders, barsLast)
	for _, f := range folders {
		kept, err := j.leaveFolder(ctx, at, f)
		if err != nil {
			return stay, err
		}
		stay = append(stay, kept...)
	}
	if len(stay) == 0 {
		return nil, at.Remove(ctx, "")
	}
	return stay, nil
}

// barsLast orders folders.
func barsLast(a, b place.Folder) int {
	switch {
	case a.Barred == b.Barred:
		return 0
	case a.Barred:
		return 1
	}
	return -1
}

// leaveFolder empties one folder but for its quarantines, which it names.
func (j *job) leaveFolder(ctx context.Context, at place.Tree, f place.Folder) (stay []string, err error) {
	own, prefix := f.Name, f.Name+"/quarantine/"
	switch {
	case f.Name == "quarantine":
		// That of understudy's own folder: what ledgers list.
		own, prefix = "", "quarantine/"
	case folderEpoch(f.Name) == 0 || f.Barred:
		return nil, at.Remove(ctx, f.Name)
	}
	store, err := at.Store(ctx, own, false)
	if err != nil {
		return nil, err
	}
	list, err := store.Quarantines(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	for _, q := range list {
		stay = append(stay, prefix+q.Name)
	}
	switch {
	case len(list) == 0:
		return nil, at.Remove(ctx, f.Name)
	case own == "":
		return stay, nil
	}
	return stay, errors.Join(at.Remove(ctx, f.Name+"/staging"), at.Remove(ctx, f.Name+"/kept"))
}

// unpin removes the snapshots of the workload's links, and the right to have any where understudy gave it.
func (j *job) unpin(ctx context.Context, store filecopy.Target, at place.Tree, tree string) error {
	pinner, ok := store.(filecopy.Snapshotter)
	if !ok || !store.Describe().Capabilities.Snapshots {
		return nil
	}
	pins, err := pinner.Pins(ctx)
	if err != nil {
		return err
	}
	ours := fmt.Sprintf("understudy-%s.%s.", j.w.spec.Plan, j.w.spec.Name)
	for _, p := range pins {
		if !strings.HasPrefix(p.Name, ours) {
			continue
		}
		if err := pinner.Unpin(ctx, p); err != nil {
			return err
		}
	}
	if s, ok := at.(place.Snapshots); ok && slices.Contains(j.args.Given, tree) {
		return s.Disallow(ctx)
	}
	return nil
}
