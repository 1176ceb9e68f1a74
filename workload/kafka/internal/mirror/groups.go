package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// GroupOptions say whose positions are copied, from where to where.
type GroupOptions struct {
	Lease          understudy.Lease
	Source, Target *cluster.Cluster
	Topic, Group   func(string) bool
	// Exact sets each group exactly as on the source the first time it is seen, also backwards.
	Exact bool
	// Late says that a halted mover may still commit positions on the source.
	Late bool
}

// Groups copies the positions of consumer groups. What it saw on the source is written beside each position on the
// target, to tell a group that was moved back on the source from one that is ahead on the target, also after the
// mover was down.
type Groups struct {
	o GroupOptions

	mu    sync.Mutex
	last  map[string]map[cluster.TP]cluster.Committed // the source's positions, as last seen
	rest  map[string]bool                             // groups that could not be copied as a whole
	exact map[string]bool                             // groups that were set exactly
	notes []string
}

// NewGroups makes a copier that has seen nothing yet.
func NewGroups(o GroupOptions) *Groups {
	return &Groups{o: o, last: map[string]map[cluster.TP]cluster.Committed{}, rest: map[string]bool{}, exact: map[string]bool{}}
}

// GroupReport is what one round found.
type GroupReport struct {
	// Copied counts the positions that were set.
	Copied int
	// ActiveAtSource and ActiveAtTarget name groups with members; the latter were left alone.
	ActiveAtSource, ActiveAtTarget []string
	// Capped names positions beyond the target's end, which were set to the end.
	Capped []string
}

// SyncGroupsOnce copies the positions of all groups once, exactly or forwards only, as the options say. It
// is what the cut uses when the mirror no longer runs.
func SyncGroupsOnce(ctx context.Context, o GroupOptions) (GroupReport, error) {
	return NewGroups(o).Sync(ctx)
}

// Notes names what a person should know of the last round.
func (g *Groups) Notes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.notes)
}

// Sync copies the positions of the groups that moved.
func (g *Groups) Sync(ctx context.Context) (GroupReport, error) {
	var rep GroupReport
	here, err := g.o.Source.ListGroups(ctx, g.o.Lease)
	if err != nil {
		return rep, err
	}
	var names []string
	for _, grp := range here {
		if grp.Name != "" && g.o.Group(grp.Name) {
			names = append(names, grp.Name)
			if !grp.Idle() {
				rep.ActiveAtSource = append(rep.ActiveAtSource, grp.Name)
			}
		}
	}
	from, err := g.o.Source.FetchGroupOffsets(ctx, g.o.Lease, names)
	if err != nil {
		return rep, err
	}
	if g.o.Late {
		if err := g.putRight(ctx, from); err != nil {
			return rep, err
		}
	}
	moved := g.moved(from)
	if len(moved) == 0 {
		return rep, nil
	}
	return rep, g.copy(ctx, moved, from, &rep)
}

// moved lists the groups with positions of ours that are not as last copied.
func (g *Groups) moved(from map[string]map[cluster.TP]cluster.Committed) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(from)) {
		for tp := range from[name] {
			if !g.o.Topic(tp.Topic) || cluster.Internal(tp.Topic) {
				delete(from[name], tp)
			}
		}
		if len(from[name]) > 0 && (g.rest[name] || !maps.Equal(from[name], g.last[name])) {
			out = append(out, name)
		}
	}
	return out
}

func (g *Groups) copy(ctx context.Context, moved []string, from map[string]map[cluster.TP]cluster.Committed, rep *GroupReport) error {
	meta, err := g.o.Target.Metadata(ctx, g.o.Lease)
	if err != nil {
		return err
	}
	ends, err := g.ends(ctx, meta, moved, from)
	if err != nil {
		return err
	}
	there, err := g.o.Target.FetchGroupOffsets(ctx, g.o.Lease, moved)
	if err != nil {
		return err
	}
	states, err := g.o.Target.ListGroups(ctx, g.o.Lease)
	if err != nil {
		return err
	}
	busy := map[string]bool{}
	for _, s := range states {
		busy[s.Name] = !s.Idle() && s.State != ""
	}
	ids := map[string][16]byte{}
	for n, t := range meta.Topics {
		ids[n] = t.ID
	}
	for _, name := range moved {
		if busy[name] {
			rep.ActiveAtTarget = append(rep.ActiveAtTarget, name)
			continue
		}
		if err := g.set(ctx, name, from[name], there[name], ends, ids, rep); err != nil {
			return err
		}
	}
	g.tell(rep)
	return nil
}

func (g *Groups) tell(rep *GroupReport) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notes = nil
	for _, n := range rep.ActiveAtTarget {
		g.notes = append(g.notes, fmt.Sprintf("group %s is active on the target; its positions are left alone", n))
	}
}

// ends reads where the partitions end that positions lie in; those that do not exist there are left out.
func (g *Groups) ends(ctx context.Context, meta cluster.Metadata, moved []string, from map[string]map[cluster.TP]cluster.Committed) (map[cluster.TP]int64, error) {
	need := map[cluster.TP]cluster.Partition{}
	for _, name := range moved {
		for tp := range from[name] {
			if t := meta.Topics[tp.Topic]; int(tp.Partition) < len(t.Partitions) && t.Partitions[tp.Partition].Leader >= 0 {
				need[tp] = t.Partitions[tp.Partition]
			}
		}
	}
	return g.o.Target.ListOffsets(ctx, g.o.Lease, cluster.End, slices.Collect(maps.Values(need)))
}

// set moves one group that nobody is in, where it has to move.
func (g *Groups) set(ctx context.Context, name string, from, there map[cluster.TP]cluster.Committed, ends map[cluster.TP]int64, ids map[string][16]byte, rep *GroupReport) error {
	g.mu.Lock()
	last, exact := g.last[name], g.o.Exact && !g.exact[name]
	g.mu.Unlock()
	want, capped := positions(from, there, last, ends, exact)
	rep.Capped = append(rep.Capped, capped...)
	if len(want) > 0 {
		busy, err := g.commit(ctx, name, want, ids)
		if err != nil {
			return err
		}
		if busy {
			rep.ActiveAtTarget = append(rep.ActiveAtTarget, name)
			return nil
		}
		for tp, w := range want {
			if now, ok := there[tp]; !ok || now.At != w.At {
				rep.Copied++
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last[name], g.rest[name] = from, len(capped) > 0 // the rest follows when the target has it
	if len(capped) == 0 {
		g.exact[name] = true
	}
	return nil
}

// commit sets positions of a group, and says whether members of it are in the way. Where the broker has no room for
// our note beside the group's own text, the position is set without the note.
func (g *Groups) commit(ctx context.Context, name string, want map[cluster.TP]cluster.Committed, ids map[string][16]byte) (busy bool, err error) {
	for len(want) > 0 {
		codes, err := g.o.Target.CommitOffsets(ctx, g.o.Lease, name, want, ids)
		if err != nil {
			return false, err
		}
		if want, busy, err = g.unfit(name, want, codes); err != nil || busy {
			return busy, err
		}
	}
	return false, nil
}

// unfit gives the positions whose text was too long for the broker with our note, without it.
func (g *Groups) unfit(name string, want map[cluster.TP]cluster.Committed, codes map[cluster.TP]int16) (bare map[cluster.TP]cluster.Committed, busy bool, err error) {
	bare = map[cluster.TP]cluster.Committed{}
	for tp, code := range codes {
		if code == cluster.CodeUnknownMember {
			return nil, true, nil
		}
		if _, own, noted := Seen(want[tp].Metadata); code == cluster.CodeMetadataTooLarge && noted {
			bare[tp] = cluster.Committed{At: want[tp].At, Metadata: own}
			continue
		}
		if err := g.o.Target.Refused("kafka.offsetcommit", tp.String(), code, "READ on group "+name); err != nil {
			return nil, false, err
		}
	}
	return bare, false, nil
}

// positions decides what to set: forwards always, backwards only where the source moved back since it was
// last seen, or where all is to be exact. What was last seen is in memory, or beside the position on the target.
func positions(from, there, last map[cluster.TP]cluster.Committed, ends map[cluster.TP]int64, exact bool) (want map[cluster.TP]cluster.Committed, capped []string) {
	want = map[cluster.TP]cluster.Committed{}
	for tp, at := range from {
		end, ok := ends[tp]
		if !ok {
			capped = append(capped, tp.String())
			continue
		}
		goal := at.At
		if goal > end {
			goal = end
			capped = append(capped, tp.String())
		}
		_, text, _ := Seen(at.Metadata)
		now, ok := there[tp]
		before, own, seen := Seen(now.Metadata)
		if l, ok := last[tp]; ok {
			before, seen = l.At, true
		}
		if ok && goal < now.At && !exact && (!seen || at.At >= before) {
			goal, text = now.At, own // it is ahead on the target, by a life of its own
		}
		set := cluster.Committed{At: goal, Metadata: noted(at.At, text)}
		if set != now && !bareEqual(set, now) {
			want[tp] = set
		}
	}
	slices.Sort(capped)
	return want, capped
}

func (m *Mirror) syncGroups(ctx context.Context) error {
	if !m.identified.Load() {
		return nil // nothing is written before it is known to whom
	}
	_, err := m.groups.Sync(ctx)
	if err == nil || isLease(err) {
		return err
	}
	return &understudy.Error{
		Code: "US150", Kind: understudy.KindOf(err), Op: "kafka.mirror", Object: m.o.Target.Object(),
		Summary: "the positions of consumer groups are not copied", Err: err,
	}
}
