package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// openRoots gives roots the look that they have for their users. It re-reads the role before each; running it twice sets the same.
func openRoots(ctx context.Context, j *job) (understudy.Receipt, error) {
	r := understudy.Receipt{Keep: understudy.Keep{}}
	for _, tree := range slices.Sorted(maps.Keys(j.args.Images)) {
		if err := j.still(ctx); err != nil {
			return r, err
		}
		err := j.openRoot(ctx, tree)
		if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
			return r, j.failed(tree, "open the root of", err)
		}
		r.Keep[keepClosed(j.step.Site, tree)] = nil
	}
	return r, nil
}

func (j *job) openRoot(ctx context.Context, tree string) error {
	g, gated := j.tree(tree).(place.Gate)
	if gated {
		if err := g.Lift(ctx); err != nil {
			return err
		}
	}
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil || gated && !looks(store, j.args.Images[tree]) {
		return err
	}
	return store.SetAttributes(ctx, "", j.args.Images[tree].attributes(), rootFields)
}

// looks says whether the root of a tree that is not closed by its mode can still be given the look that it had at the other side.
func looks(store filecopy.Store, want image) bool {
	return !want.gated() && want.Mode != 0 && store.Describe().Capabilities.Attributes.Has(filecopy.FieldMode)
}

// proveOpen reads the roots back, and makes and removes a file below each as understudy, and as the ordinary user whom the site file names.
func proveOpen(ctx context.Context, j *job) (understudy.Receipt, error) {
	var r understudy.Receipt
	p := j.proof(understudy.ProofOpen, 0)
	id, err := j.w.sites[j.step.Site].Look(ctx)
	if err != nil {
		return r, j.failed("", "reach", err)
	}
	if id.Writer != "" {
		id.Ordinary = ""
		r.Warnings = append(r.Warnings, "the ordinary writer cannot act here, so nobody but understudy tried a write: "+id.Writer)
	}
	let := 0
	for _, t := range j.w.cfg.Trees {
		missing, err := j.closedStill(ctx, t.Path)
		if err != nil {
			return r, err
		}
		if err := j.tree(t.Path).Try(ctx, place.Ourselves); err != nil {
			return r, j.failed(t.Path, "write into", err)
		}
		entered, err := j.letsIn(ctx, t.Path, id.Ordinary)
		if err != nil {
			return r, err
		}
		refused := fmt.Sprintf("%s: a write by %s, whom the site file names as an ordinary writer, was refused", t.Path, id.Ordinary)
		switch {
		case entered:
			let++
		case id.Ordinary != "" && j.args.Images[t.Path].lets(id.Ordinary):
			missing = append(missing, refused)
		case id.Ordinary != "":
			r.Warnings = append(r.Warnings, refused+"; that is right only if it may not write at the old primary either")
		}
		p.Missing = append(p.Missing, missing...)
	}
	p.Complete, p.At = len(p.Missing) == 0, time.Now()
	p.Means = fmt.Sprintf("%d roots look as at the old primary, and a file was made and removed below each", len(j.w.cfg.Trees))
	if let > 0 {
		p.Means += fmt.Sprintf(", by %s below %d of them", id.Ordinary, let)
	}
	r.Proofs = []understudy.Proof{p}
	return r, nil
}

// closedStill says in what a root does not look as it is to look for its users.
func (j *job) closedStill(ctx context.Context, tree string) ([]string, error) {
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil {
		return nil, j.failed(tree, "open", err)
	}
	now, err := imageOf(ctx, j.tree(tree), store)
	if err != nil {
		return nil, j.failed(tree, "look at", err)
	}
	want, known := j.args.Images[tree]
	switch {
	case now.Gate.State == place.GateClosed,
		known && !now.gated() && !want.gated() && now.unlike(want, store.Describe().Capabilities.Attributes):
		return []string{fmt.Sprintf("%s: the root is %s, not %s", tree, now, want)}, nil
	}
	return nil, nil
}

// letsIn has an ordinary user make a file below a root; false when the store forbids it, or when nobody is named.
func (j *job) letsIn(ctx context.Context, tree, user string) (bool, error) {
	if user == "" {
		return false, nil
	}
	err := j.tree(tree).Try(ctx, place.Ordinary)
	if errors.Is(err, place.ErrRefused) || errors.Is(err, place.ErrUnproven) {
		return false, nil
	}
	return err == nil, j.failed(tree, fmt.Sprintf("write as %s into", user), err)
}

// unlike says whether a root lets in others than it should. Of the fields that the store cannot set the owner alone is compared: whoever owns the
// root decides who else gets in.
func (i image) unlike(want image, can filecopy.Fields) bool {
	return want.Owner != "" && i.Owner != want.Owner ||
		can.Has(filecopy.FieldGroup) && want.Group != "" && i.Group != want.Group ||
		i.Mode != want.Mode ||
		can.Has(filecopy.FieldACL) && !slices.Equal(slices.Sorted(slices.Values(i.ACL)), slices.Sorted(slices.Values(want.ACL)))
}

// lets says whether a root that looks so lets a user write below it for certain. Of groups nothing is known here.
func (i image) lets(user string) bool {
	const enter = 3
	if i.Owner == user {
		return i.Mode>>6&enter == enter
	}
	for _, a := range i.ACL {
		if rights, ok := strings.CutPrefix(a, "user:"+user+":"); ok {
			return strings.HasSuffix(rights, "wx") && i.Mode>>3&enter == enter
		}
	}
	return false
}
