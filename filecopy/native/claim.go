package native

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/understudy-dr/understudy/filecopy"
)

// claimName is the document that says whose a set is while it is made. It is kept before anything of an earlier member is touched, and only the plan
// that it names is resumed: a member that comes back finds out that another one went on.
const claimName = "claim.json"

// claim is that document. Losing it, or finding an old one in its place, costs work and never truth: nothing is believed in because it says so.
type claim struct {
	Format int    `json:"format"`
	Plan   author `json:"plan"`
	// Former are the plans of members that were lost, the last one first, whose sealed files may still be taken over.
	Former []author `json:"former,omitempty"`
}

// author is one plan. What it keeps and where it stages has its name, which nobody had before: requests of another plan that come late go elsewhere.
type author struct {
	ID string `json:"id"`
	// Root is the identity of the source's root: versions of files mean something below it only.
	Root string `json:"root"`
}

// claimed reads who claims a set; one that cannot be read is as good as none.
func (v vault) claimed(ctx context.Context, number int64) (claim, bool, error) {
	name := v.name(setName(number, claimName))
	r, err := v.keeper.Kept(ctx, name)
	if errors.Is(err, filecopy.ErrNotFound) {
		return claim{}, false, nil
	}
	if err != nil {
		return claim{}, false, err
	}
	raw, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return claim{}, false, err
	}
	var c claim
	if unseal(name, raw, &c) != nil {
		return claim{}, false, nil
	}
	return c, true, nil
}

// planLot is where one plan stages, within the lot of its set. Plans of earlier versions have no names of their own.
func (d *desk) planLot(number int64, id string) string {
	if id == "" {
		return d.lot(number)
	}
	return d.lot(number) + "/" + id
}

// planName names a list of one plan.
func planName(number int64, id, list string) string {
	if id != "" {
		list = id + "/" + list
	}
	return setName(number, list)
}

// succeed claims a set that is begun anew, and removes what earlier plans left of it but what can be taken over.
func (r *run) succeed(ctx context.Context, root filecopy.Root, number int64) error {
	carried, err := r.vault.document(ctx, setName(number, carrierName), &note{})
	if err != nil {
		return err
	}
	was, ok, err := r.vault.claimed(ctx, number)
	if err != nil {
		return err
	}
	r.state.ID = filecopy.NewID()
	mine := claim{Format: formatVersion, Plan: author{r.state.ID, root.Identity}}
	_, rescues := r.job.Target.(filecopy.Rescuer)
	if carried || !ok || !rescues {
		// Without a claim nobody staged anything, or it goes with the set: a removal of the whole lot that came late would meet what is staged next.
		if err := r.giveUp(ctx, r.head, number, ok || carried); err != nil {
			return err
		}
		return r.vault.keepDocument(ctx, setName(number, claimName), mine)
	}
	if err := r.release(ctx, number); err != nil {
		return err
	}
	var rest []author
	for _, a := range append([]author{was.Plan}, was.Former...) {
		names, err := r.leftNames(ctx, number, a)
		if err != nil {
			return err
		}
		if a.Root == root.Identity && len(names) > 0 {
			mine.Former = append(mine.Former, a)
		} else {
			rest = append(rest, a)
		}
	}
	if err := r.vault.keepDocument(ctx, setName(number, claimName), mine); err != nil {
		return err
	}
	r.former = mine.Former
	if err := r.forsake(ctx, number, rest); err != nil {
		return err
	}
	return os.RemoveAll(r.runDir())
}

// leftNames lists the kept part of a plan's ready list.
func (d *desk) leftNames(ctx context.Context, number int64, a author) ([]string, error) {
	return d.vault.keeper.KeptNames(ctx, d.vault.name(planName(number, a.ID, itemsName)+"/"))
}

// forsake removes what some plans kept and staged.
func (d *desk) forsake(ctx context.Context, number int64, plans []author) error {
	for _, a := range plans {
		if err := d.vault.forget(ctx, head{}, planName(number, a.ID, "")); err != nil {
			return err
		}
		if err := d.job.Target.Discard(ctx, d.planLot(number, a.ID)); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what runs of the given number left, at the target and here.
func (d *desk) discard(ctx context.Context, h head, number int64) error {
	return d.giveUp(ctx, h, number, true)
}

// giveUp does so. The claim goes first: without it nobody goes on with the rest.
func (d *desk) giveUp(ctx context.Context, h head, number int64, staged bool) error {
	carried, err := d.vault.document(ctx, setName(number, carrierName), &note{})
	if err != nil {
		return err
	}
	if err := d.release(ctx, number); err != nil {
		return err
	}
	was, ok, err := d.vault.claimed(ctx, number)
	if err != nil {
		return err
	}
	if err := d.vault.keeper.Forget(ctx, d.vault.name(setName(number, claimName))); err != nil {
		return err
	}
	switch {
	case ok && !carried:
		err = d.forsake(ctx, number, append([]author{was.Plan}, was.Former...))
	case staged:
		err = d.job.Target.Discard(ctx, d.lot(number))
	}
	if err != nil {
		return err
	}
	if err := d.vault.forget(ctx, h, setPrefix(number)); err != nil {
		return err
	}
	return os.RemoveAll(d.runDir())
}
