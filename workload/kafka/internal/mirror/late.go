package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// lateFor is how long after the start of a link settings on its source are put right that look like those of the halted
// mover. Longer than a kernel goes on sending what nobody acknowledges.
const lateFor = 20 * time.Minute

// putRight undoes what a halted mover's late commits did to groups on the source. Its positions carry its note, and the
// takeover took all notes off, so that none is left there but by such a commit. A position goes back to where it was
// last seen: by this mover, or beside the position on the target. Where nobody has seen it since the takeover, the
// position stays, without the note.
func (g *Groups) putRight(ctx context.Context, from map[string]map[cluster.TP]cluster.Committed) error {
	late := map[string]bool{}
	for name, at := range from {
		for tp, c := range at {
			if _, _, noted := Seen(c.Metadata); noted && g.o.Topic(tp.Topic) {
				late[name] = true
			}
		}
	}
	if len(late) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(late))
	there, err := g.o.Target.FetchGroupOffsets(ctx, g.o.Lease, names)
	if err != nil {
		return err
	}
	meta, err := g.o.Source.Metadata(ctx, g.o.Lease)
	if err != nil {
		return err
	}
	ids := map[string][16]byte{}
	for n, t := range meta.Topics {
		ids[n] = t.ID
	}
	for _, name := range names {
		want := g.before(name, from[name], there[name])
		codes, err := g.o.Source.CommitOffsets(ctx, g.o.Lease, name, want, ids)
		if err != nil {
			return err
		}
		for tp, code := range codes {
			if code == cluster.CodeUnknownMember {
				break // its members are there again, and commit their own
			}
			if err := g.o.Source.Refused("kafka.offsetcommit", tp.String(), code, "READ on group "+name); err != nil {
				return err
			}
			from[name][tp] = want[tp]
		}
	}
	return nil
}

// before gives where a group stood before a late commit, for each position that carries a note.
func (g *Groups) before(name string, from, there map[cluster.TP]cluster.Committed) map[cluster.TP]cluster.Committed {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[cluster.TP]cluster.Committed{}
	for tp, c := range from {
		_, own, noted := Seen(c.Metadata)
		if !noted || !g.o.Topic(tp.Topic) {
			continue
		}
		out[tp] = cluster.Committed{At: c.At, Metadata: own}
		if at, text, ok := Seen(there[tp].Metadata); ok {
			out[tp] = cluster.Committed{At: at, Metadata: text}
		}
		if last, ok := g.last[name][tp]; ok {
			out[tp] = last
		}
	}
	return out
}

// lateSettings know what the halted mover may still set on the source, and what was there before.
type lateSettings struct {
	until time.Time
	// wanted are the values that the halted mover kept in place, and last those that were seen, by topic.
	wanted, last map[string]map[string]string
	// undone says of each topic what was put right.
	undone map[string][]string
}

func newLateSettings(o Options) lateSettings {
	l := lateSettings{wanted: map[string]map[string]string{}, last: map[string]map[string]string{}, undone: map[string][]string{}}
	if o.Late {
		l.until = time.Now().Add(lateFor)
	}
	return l
}

// look compares a topic's settings with the last look, and gives those to put back: the values that turned into exactly
// what the halted mover kept in place. All others are the owner's. The first look finds nothing.
func (l *lateSettings) look(topic string, in topicconf.Intended, have topicconf.Values) map[string]string {
	if l.wanted[topic] == nil {
		l.wanted[topic], l.last[topic] = topicconf.Mirroring(in), map[string]string{}
	}
	back := map[string]string{}
	for name, wanted := range l.wanted[topic] {
		v, known := have[name]
		if last, seen := l.last[topic][name]; seen && known && v.Value != last && v.Value == wanted {
			back[name] = last
			continue
		}
		l.last[topic][name] = v.Value
	}
	return back
}

// putRight undoes what a halted mover's late request did to settings on the source, and to what is taken for intended.
func (c *conf) putRight(ctx context.Context, names []string, from cluster.Metadata, intended map[string]topicconf.Intended, source map[string]map[string]cluster.ConfigValue) error {
	if time.Now().After(c.late.until) {
		return nil
	}
	for _, n := range names {
		before, err := topicconf.Decode[topicconf.Intended](c.m.o.Kept[topicconf.KeepIntended(n)])
		if err != nil {
			return err
		}
		back := c.late.look(n, before, source[n])
		if len(back) == 0 || c.m.o.Frozen() {
			continue
		}
		if err := c.m.source.c.AlterTopicConfigs(ctx, c.m.o.Lease, n, topicconf.Change(back, source[n], max(from.Topics[n].Replication(), 1))); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(back)) {
			intended[n].Values[name] = back[name]
			c.late.undone[n] = append(c.late.undone[n], fmt.Sprintf("topic %s: %s was set to %s, as the halted mover kept it, and is %s again; if it was meant, set it after %s",
				n, name, source[n][name].Value, back[name], c.late.until.UTC().Format(time.RFC3339)))
		}
	}
	return nil
}
