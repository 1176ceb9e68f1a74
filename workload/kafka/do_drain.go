package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// salvageFor is how long a failover waits for what the old side still gives while nothing moves.
const salvageFor = 10 * time.Second

// awaitDrain waits until the target ends where the source ends, on every partition, and proves it. The mover does the
// copying; what the source has removed at its start is removed here, which is harmless to repeat. For a salvage it waits as long as something still arrives, and promises
// nothing.
func awaitDrain(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[linkArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	source, err := j.w.at(a.From)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if !a.Salvage { // else what only a leader holds would be mirrored later than the target is compared
		if _, err := j.awaitReplicated(ctx, source, false, replicateFor); err != nil {
			return understudy.Receipt{}, err
		}
	}
	best, moved := int64(-1), time.Now()
	for {
		left, ends, err := j.behind(ctx, source, a.Salvage)
		if err != nil {
			if a.Salvage && understudy.KindOf(err) == understudy.KindUnreachable {
				return understudy.Receipt{Warnings: []string{"the old side stopped answering; what had arrived counts"}}, nil
			}
			return understudy.Receipt{}, err
		}
		if left == 0 {
			if err := j.trimAlike(ctx, source); err != nil && !(a.Salvage && understudy.KindOf(err) == understudy.KindUnreachable) {
				return understudy.Receipt{}, err
			}
			if a.Salvage {
				return understudy.Receipt{Summary: fmt.Sprintf("%s has nothing that %s lacks", a.From, a.To)}, nil
			}
			return j.drained(a, ends), nil
		}
		if best < 0 || left < best {
			best, moved = left, time.Now()
		}
		if a.Salvage && time.Since(moved) > salvageFor {
			return understudy.Receipt{Warnings: []string{fmt.Sprintf("%d offsets could not be salvaged", left)}}, nil
		}
		j.count("offsets to come", left, left, "offsets")
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return understudy.Receipt{}, err
		}
	}
}

// trimAlike lets the target begin where the source begins, so that a trim that a late mover sent finds nothing to do:
// it cannot ask for more than the source had removed.
func (j *job) trimAlike(ctx context.Context, source *site) error {
	_, parts, err := j.matched(ctx, source)
	if err != nil {
		return err
	}
	want, err := source.admin.ListOffsets(ctx, j.run.Lease, cluster.Start, parts)
	if err != nil {
		return err
	}
	_, there, err := j.matched(ctx, j.site)
	if err != nil {
		return err
	}
	have, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.Start, there)
	if err != nil {
		return err
	}
	for _, p := range there {
		if want[p.TP] <= have[p.TP] {
			continue
		}
		if _, err := j.site.admin.DeleteRecords(ctx, j.run.Lease, p, want[p.TP]); err != nil {
			return err
		}
	}
	return nil
}

// behind counts the offsets that the target lacks. A partition of the target that is ahead is a conflict, except
// for a salvage: it may be halted already.
func (j *job) behind(ctx context.Context, source *site, salvage bool) (int64, map[cluster.TP]int64, error) {
	_, parts, err := j.matched(ctx, source)
	if err != nil {
		return 0, nil, err
	}
	want, err := source.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return 0, nil, err
	}
	_, there, err := j.matched(ctx, j.site)
	if err != nil {
		return 0, nil, err
	}
	have, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.End, there)
	if err != nil {
		return 0, nil, err
	}
	var left int64
	for tp, end := range want {
		got, ok := have[tp]
		if !ok && salvage {
			left += max(end, 1)
			continue
		}
		if !ok {
			return 0, nil, &understudy.Error{
				Code: "US118", Kind: understudy.KindConflict, Op: "kafka.drain", Object: j.object(tp.String()),
				Summary: "the partition came into being after the freeze and is missing on the target", Fix: "retry: it is made there first",
			}
		}
		if got > end && salvage {
			continue
		}
		if got > end {
			return 0, nil, &understudy.Error{
				Code: "US113", Kind: understudy.KindConflict, Op: "kafka.drain", Object: j.object(tp.String()),
				Summary: fmt.Sprintf("the target ends at %d, beyond the source's %d", got, end),
				Why:     "somebody wrote on the target, or the source lost its tail", Fix: "understudy verify, then abort",
			}
		}
		left += end - got
	}
	return left, want, nil
}

func (j *job) drained(a linkArgs, ends map[cluster.TP]int64) understudy.Receipt {
	link := understudy.Link{Plan: j.w.spec.Plan, Workload: j.w.spec.Name, From: a.From, To: a.To}
	proof := j.proof(understudy.ProofDrain, 0)
	proof.Link, proof.Complete = &link, true
	proof.Means = fmt.Sprintf("%s ends where %s ends on %d partitions", a.To, a.From, len(ends))
	r := understudy.Receipt{Summary: proof.Means, Proofs: []understudy.Proof{proof}}
	return detailed(r, fencedDetail{vector(ends)})
}

// groupsDetail is what the last copy of the groups' positions leaves behind.
type groupsDetail struct {
	// Positions are the committed offsets by group; -1 where a group has none.
	Positions map[string]Vector `json:"positions"`
}

// syncGroups copies the groups' positions from the source once more. Positions are set exactly, and so may be
// set again. Groups with members on the source or on the target are named.
func syncGroups(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[linkArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	source, err := j.w.at(a.From)
	if err != nil {
		return understudy.Receipt{}, err
	}
	groups, err := source.admin.ListGroups(ctx, j.run.Lease)
	if err != nil {
		return understudy.Receipt{}, err
	}
	d := groupsDetail{Positions: map[string]Vector{}}
	texts := map[string]map[cluster.TP]string{}
	var r understudy.Receipt
	for _, g := range groups {
		if !j.w.match.group(g.Name) {
			continue
		}
		if !g.Idle() && g.State != "" {
			r.Warnings = append(r.Warnings, fmt.Sprintf("group %s is still active on %s: what it commits from now on does not follow", g.Name, a.From))
		}
		at, err := source.admin.FetchOffsets(ctx, j.run.Lease, g.Name)
		if err != nil {
			return understudy.Receipt{}, err
		}
		maps.DeleteFunc(at, func(tp cluster.TP, _ cluster.Committed) bool { return !j.w.match.topic(tp.Topic) })
		if len(at) > 0 {
			d.Positions[g.Name], texts[g.Name] = split(at)
		}
	}
	warnings, err := j.setPositions(ctx, d.Positions, texts)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r.Warnings = append(r.Warnings, warnings...)
	r.Summary = fmt.Sprintf("positions of %d groups copied to %s", len(d.Positions), a.To)
	return detailed(r, d), nil
}

// split gives positions, and the texts that the groups' members committed with them.
func split(at map[cluster.TP]cluster.Committed) (Vector, map[cluster.TP]string) {
	offsets, texts := map[cluster.TP]int64{}, map[cluster.TP]string{}
	for tp, c := range at {
		offsets[tp] = c.At
		_, texts[tp], _ = mirror.Seen(c.Metadata)
	}
	return vector(offsets), texts
}

// restoreGroups sets the positions that were copied at the cut once more, where a late mover changed them and
// nobody has joined the group since. It takes the mover's notes off all positions, so that members find what they
// committed themselves.
func restoreGroups(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[regroupArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	all := maps.Clone(a.Positions)
	if all == nil {
		all = map[string]Vector{}
	}
	groups, err := j.site.admin.ListGroups(ctx, j.run.Lease)
	if err != nil {
		return understudy.Receipt{}, err
	}
	for _, g := range groups {
		if _, ok := all[g.Name]; !ok && j.w.match.group(g.Name) {
			all[g.Name] = Vector{}
		}
	}
	warnings, err := j.setPositions(ctx, all, nil)
	return understudy.Receipt{Warnings: warnings}, err
}

// setPositions commits positions on the step's site where they differ, capped at the log's end, with the texts that
// belong to them. Without a text for it, a position keeps the one that is there. Our notes are taken off.
func (j *job) setPositions(ctx context.Context, positions map[string]Vector, texts map[string]map[cluster.TP]string) ([]string, error) {
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return nil, err
	}
	end, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return nil, err
	}
	ids := map[string][16]byte{}
	for _, p := range parts {
		ids[p.Topic] = p.ID
	}
	there, err := j.site.admin.FetchGroupOffsets(ctx, j.run.Lease, slices.Sorted(maps.Keys(positions)))
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(positions)) {
		w, err := j.setGroup(ctx, name, toSet(positions[name], texts[name], there[name], end), ids)
		if err != nil {
			return warnings, err
		}
		warnings = append(warnings, w...)
	}
	return warnings, nil
}

// toSet gives what has to be committed so that a group stands where it should, without a note of ours.
func toSet(want Vector, texts map[cluster.TP]string, have map[cluster.TP]cluster.Committed, end map[cluster.TP]int64) map[cluster.TP]cluster.Committed {
	out := map[cluster.TP]cluster.Committed{}
	for tp, last := range end {
		now, there := have[tp]
		off, wanted := want.at(tp)
		wanted = wanted && off >= 0
		if !there && !wanted {
			continue
		}
		_, own, _ := mirror.Seen(now.Metadata)
		set := cluster.Committed{At: now.At, Metadata: own}
		if wanted {
			set.At = min(off, last)
		}
		if text, ok := texts[tp]; ok {
			set.Metadata = text
		}
		if !there || set != now {
			out[tp] = set
		}
	}
	return out
}

func (j *job) setGroup(ctx context.Context, name string, set map[cluster.TP]cluster.Committed, ids map[string][16]byte) ([]string, error) {
	if len(set) == 0 {
		return nil, nil
	}
	if err := j.still(ctx); err != nil {
		return nil, err
	}
	codes, err := j.site.admin.CommitOffsets(ctx, j.run.Lease, name, set, ids)
	if err != nil {
		return nil, err
	}
	for tp, code := range codes {
		switch {
		case code == cluster.CodeUnknownMember || code == 22:
			return []string{fmt.Sprintf("group %s has members on %s, so its positions there are its own", name, j.step.Site)}, nil
		case code != 0:
			return nil, j.site.admin.Refused("kafka.offsetcommit", tp.String(), code, "READ on group "+name)
		}
	}
	return nil, nil
}
