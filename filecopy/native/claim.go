package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// claimsName is where the documents are that say whose a set is while it is made, one for each plan, by rising numbers. One is kept before anything of an
// earlier member is touched, and only the plan that it names is resumed, or believed to be ready: a member that comes back finds out that another one
// went on. An earlier claim that comes late has a lower number.
const claimsName = "claims/"

func claimName(number, turn int64, id string) string {
	return setName(number, fmt.Sprintf("%s%08d-%s.json", claimsName, turn, id))
}

// claim is such a document. Without it work is lost, and never truth: nothing is believed in because it says so.
type claim struct {
	Format int    `json:"format"`
	Plan   author `json:"plan"`
	// Former are the plans of members that were lost, the last one first, whose sealed files may still be taken over.
	Former []author `json:"former,omitempty"`
	// turn is the number in its name.
	turn int64
}

// author is one plan. What it keeps and where it stages has its name, which nobody had before: requests of another plan that come late go elsewhere.
type author struct {
	ID string `json:"id"`
	// Root is the identity of the source's root: versions of files mean something below it only.
	Root string `json:"root"`
}

// claimed reads the last claim to a set: a plan's own, when two have the same number. Of one that cannot be read the name alone is known.
func (v vault) claimed(ctx context.Context, number int64, own string) (claim, bool, error) {
	names, err := v.keeper.KeptNames(ctx, v.name(setName(number, claimsName)))
	if err != nil || len(names) == 0 {
		return claim{}, false, err
	}
	last := names[len(names)-1]
	turn, id := readClaimName(last)
	for _, name := range names {
		if other, of := readClaimName(name); other == turn && of == own {
			last, id = name, own
		}
	}
	r, err := v.keeper.Kept(ctx, last)
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return claim{}, false, err
	}
	var raw []byte
	if err == nil {
		raw, err = io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return claim{}, false, err
		}
	}
	c := claim{}
	if unseal(last, raw, &c) != nil || c.Plan.ID != id {
		c = claim{Plan: author{ID: id}}
	}
	c.turn = turn
	return c, true, nil
}

// claimant says whether the plan that made a set has the claim to it, or another one has; without any claim neither does. Sets of earlier versions
// name no plan, and had no claims.
func (v vault) claimant(ctx context.Context, r ready) (own, other bool, err error) {
	if r.Plan == "" {
		return true, false, nil
	}
	c, ok, err := v.claimed(ctx, r.Set.Number, r.Plan)
	if err != nil || !ok {
		return false, false, err
	}
	return c.Plan.ID == r.Plan, c.Plan.ID != r.Plan, nil
}

// readClaimName takes the name of a claim apart.
func readClaimName(name string) (turn int64, id string) {
	number, id, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".json"), "-")
	turn, _ = strconv.ParseInt(number, 10, 64)
	return turn, id
}

// keepClaim keeps the claim of this run's plan, and forgets the ones before; those of members that came later are not ours to forget.
func (r *run) keepClaim(ctx context.Context, number int64, c claim) error {
	c.Format = formatVersion
	own := claimName(number, c.turn, c.Plan.ID)
	if err := r.vault.keepDocument(ctx, own, c); err != nil {
		return err
	}
	names, err := r.vault.keeper.KeptNames(ctx, r.vault.name(setName(number, claimsName)))
	for _, name := range names {
		if turn, _ := readClaimName(name); err == nil && turn < c.turn {
			err = r.vault.keeper.Forget(ctx, name)
		}
	}
	r.claim = c
	return err
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
	was, ok, err := r.vault.claimed(ctx, number, "")
	if err != nil {
		return err
	}
	r.state.ID = filecopy.NewID()
	mine := claim{Plan: author{r.state.ID, root.Identity}, turn: was.turn + 1}
	_, rescues := r.job.Target.(filecopy.Rescuer)
	if carried || !ok || !rescues {
		// Without a claim nobody staged anything, or it goes with the set: a removal of the whole lot that came late would meet what is staged next.
		if err := r.giveUp(ctx, r.head, number, ok || carried); err != nil {
			return err
		}
		return r.keepClaim(ctx, number, mine)
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
	if err := r.keepClaim(ctx, number, mine); err != nil {
		return err
	}
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

// giveUp does so. The claims go first: without one nobody goes on with the rest.
func (d *desk) giveUp(ctx context.Context, h head, number int64, staged bool) error {
	carried, err := d.vault.document(ctx, setName(number, carrierName), &note{})
	if err != nil {
		return err
	}
	if err := d.release(ctx, number); err != nil {
		return err
	}
	was, ok, err := d.vault.claimed(ctx, number, "")
	if err != nil {
		return err
	}
	if err := d.vault.forget(ctx, head{}, setName(number, claimsName)); err != nil {
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
