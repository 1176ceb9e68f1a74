package mirror

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// configEvery says how many scans go by between two looks at the topics' settings.
	configEvery = 8
	// goneAfter is how many listings in a row must lack a topic before it counts as deleted on the source.
	goneAfter = 8
)

// conf keeps the target's topics as the policy of topic configuration wants them.
type conf struct {
	m       *Mirror
	round   int
	missing map[string]int // listings in a row that lacked a followed topic
	late    lateSettings

	mu   sync.Mutex
	said map[string][]string // notes by topic
	kept understudy.Keep
}

func newConf(m *Mirror) *conf {
	kept := understudy.Keep{}
	for k, v := range m.o.Kept {
		kept[k] = v
	}
	return &conf{m: m, missing: map[string]int{}, said: map[string][]string{}, kept: kept, late: newLateSettings(m.o)}
}

func (c *conf) notes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, list := range c.said {
		out = append(out, list...)
	}
	slices.Sort(out)
	return out
}

func (c *conf) say(topic string, notes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(notes) == 0 {
		delete(c.said, topic)
		return
	}
	c.said[topic] = notes
}

// scan looks at both clusters, makes what is missing on the target, and starts partitions that are new.
func (m *Mirror) scan(ctx context.Context, start func(*shard)) error {
	for _, s := range []*side{m.source, m.target} {
		if err := s.refresh(ctx); err != nil {
			return err
		}
	}
	from, asked := m.source.listing()
	to := m.target.metadata()
	if err := m.identify(from, to); err != nil {
		return err
	}
	var names []string
	for _, n := range from.Names() {
		if m.o.Topic(n) && !cluster.Internal(n) {
			names = append(names, n)
		}
	}
	m.forget(from)
	var first error
	if !m.o.Frozen() {
		var made []string
		if made, first = m.conf.shape(ctx, names, from, to); len(made) > 0 {
			if err := m.await(ctx, made); err != nil {
				return err
			}
			to = m.target.metadata()
		}
	}
	all := true
	for _, n := range names {
		m.begin(from.Topics[n], to.Topics[n], start)
		all = m.follows(from.Topics[n]) && all
	}
	if all {
		m.mu.Lock()
		m.listed = asked
		m.mu.Unlock()
	}
	return first
}

// follows says whether every partition of a topic has its shard.
func (m *Mirror) follows(t cluster.Topic) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return m.shards[p.TP] == nil })
}

// await waits a moment for topics that were just made to have leaders.
func (m *Mirror) await(ctx context.Context, made []string) error {
	for range 40 {
		if err := m.target.look(ctx); err != nil {
			return err
		}
		meta := m.target.metadata()
		if !slices.ContainsFunc(made, func(n string) bool { return !led(meta.Topics[n]) }) {
			return nil
		}
		sleep(ctx, 50*time.Millisecond)
	}
	return nil
}

func led(t cluster.Topic) bool {
	return len(t.Partitions) > 0 && !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return p.Leader < 0 })
}

// identify makes sure that there are two clusters, and the right ones, and derives our producer id from the source's.
func (m *Mirror) identify(from, to cluster.Metadata) error {
	for _, is := range []struct {
		want string
		meta cluster.Metadata
		side *side
	}{{m.o.SourceID, from, m.source}, {m.o.TargetID, to, m.target}} {
		if is.want == "" || is.meta.ClusterID == is.want {
			continue
		}
		err := &understudy.Error{
			Code: "US101", Kind: understudy.KindRefused, Op: "kafka.mirror", Object: is.side.c.Object(),
			Summary: fmt.Sprintf("cluster %s answers there, but %s was protected", is.meta.ClusterID, is.want),
			Fix:     "correct the sites' addresses",
		}
		m.abandon(err)
		return err
	}
	if from.ClusterID == to.ClusterID && from.ClusterID != "" {
		return &understudy.Error{
			Code: "US107", Kind: understudy.KindInvalid, Op: "kafka.mirror", Object: m.target.c.Object(),
			Summary: fmt.Sprintf("both sites answer as cluster %s", from.ClusterID), Fix: "correct the sites' addresses",
		}
	}
	if m.pid == 0 { // partitions read it, and start later
		m.pid = PID(from.ClusterID, m.o.Link)
	}
	m.identified.Store(true)
	return nil
}

// begin starts the partitions of a topic that exist on both sides and are not followed yet.
func (m *Mirror) begin(from, to cluster.Topic, start func(*shard)) {
	if len(to.Partitions) > len(from.Partitions) {
		return // the shape is wrong, and was noted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range to.Partitions {
		if m.shards[p.TP] != nil {
			continue
		}
		s := newShard(m, p.TP, from.ID)
		m.shards[p.TP] = s
		start(s)
	}
}

// forget lets go of topics that were deleted on the source. Their copies stay.
func (m *Mirror) forget(from cluster.Metadata) {
	c := m.conf
	m.mu.Lock()
	defer m.mu.Unlock()
	for tp := range m.shards {
		if _, ok := from.Topics[tp.Topic]; ok {
			delete(c.missing, tp.Topic)
		} else if tp.Partition == 0 {
			c.missing[tp.Topic]++
		}
	}
	for tp, s := range m.shards {
		if c.missing[tp.Topic] >= goneAfter {
			s.leave()
			delete(m.shards, tp)
			c.say(tp.Topic, []string{fmt.Sprintf("topic %s was deleted on the source; its copy stays as it is", tp.Topic)})
		}
	}
}

// shape makes missing topics and partitions, and looks at settings now and then. It gives what it made.
func (c *conf) shape(ctx context.Context, names []string, from, to cluster.Metadata) ([]string, error) {
	c.round++
	var missing, grown, present []string
	for _, n := range names {
		have, want := len(to.Topics[n].Partitions), len(from.Topics[n].Partitions)
		switch {
		case have == 0:
			missing = append(missing, n)
		case have < want:
			grown = append(grown, n)
		case have > want:
			c.say(n, []string{fmt.Sprintf("US148: topic %s has %d partitions on the target and %d on the source; it is not followed", n, have, want)})
			continue
		}
		if have > 0 {
			present = append(present, n)
		}
	}
	made := append(missing, grown...)
	for _, n := range grown {
		if err := c.m.target.c.CreatePartitions(ctx, c.m.o.Lease, n, int32(len(from.Topics[n].Partitions))); err != nil {
			return made, err
		}
	}
	if err := c.create(ctx, missing, from, to); err != nil {
		return made, err
	}
	if c.round%configEvery == 1 {
		return made, c.align(ctx, present, from, to)
	}
	return made, nil
}

// create makes topics as they have to be while mirrored. What their owner intends is kept first.
func (c *conf) create(ctx context.Context, names []string, from, to cluster.Metadata) error {
	if len(names) == 0 {
		return nil
	}
	intended, _, err := c.read(ctx, names, from)
	if err != nil {
		return err
	}
	defaults, err := c.defaults(ctx, to)
	if err != nil {
		return err
	}
	if err := c.guard(ctx, names); err != nil {
		return err
	}
	for _, n := range names {
		in := intended[n]
		want := topicconf.Mirroring(in)
		rf := c.replication(in, to)
		if c.m.o.Frozen() {
			return nil
		}
		if err := c.keep(n, in, want); err != nil {
			return err
		}
		t := cluster.NewTopic{Name: n, Partitions: in.Partitions, Replication: rf, Configs: topicconf.Create(want, defaults, rf)}
		if _, err := c.m.target.c.CreateTopic(ctx, c.m.o.Lease, t); err != nil {
			return err
		}
		c.m.o.Log.Info("topic made", "topic", n, "partitions", in.Partitions)
	}
	// A cluster without any topic does not tell its defaults: what they hide is set now.
	if len(defaults) == 0 {
		return c.align(ctx, names, from, to)
	}
	return nil
}

// guard denies ordinary writers topics before they exist: rules are by name. What is ours is remembered first.
func (c *conf) guard(ctx context.Context, names []string) error {
	if c.m.o.Guard == nil || c.m.o.Frozen() {
		return nil
	}
	fenced, do, err := c.m.o.Guard(ctx, names, c.memory(c.m.o.Fence))
	if err != nil || do == nil {
		return err
	}
	c.m.keep(understudy.Keep{c.m.o.Fence: fenced})
	c.mu.Lock()
	c.kept[c.m.o.Fence] = fenced
	c.mu.Unlock()
	return do(ctx)
}

func (c *conf) replication(in topicconf.Intended, to cluster.Metadata) int16 {
	rf := in.Replication
	if c.m.o.Replication > 0 {
		rf = int16(c.m.o.Replication)
	}
	return max(min(rf, int16(len(to.Brokers))), 1)
}

// defaults gives what a new topic on the target has, taken from any topic there; empty when there is none.
func (c *conf) defaults(ctx context.Context, to cluster.Metadata) (topicconf.Values, error) {
	for _, n := range append([]string{cluster.OwnTopic}, to.Names()...) {
		if _, ok := to.Topics[n]; !ok {
			continue
		}
		got, err := c.m.target.c.DescribeTopicConfigs(ctx, c.m.o.Lease, []string{n})
		if err != nil {
			return nil, err
		}
		return topicconf.Defaults(got[n]), nil
	}
	return nil, nil
}

// read gives what the owners of topics intend, and the settings of the source as they are.
func (c *conf) read(ctx context.Context, names []string, from cluster.Metadata) (map[string]topicconf.Intended, map[string]map[string]cluster.ConfigValue, error) {
	have, err := c.m.source.c.DescribeTopicConfigs(ctx, c.m.o.Lease, names)
	if err != nil {
		return nil, nil, err
	}
	out := map[string]topicconf.Intended{}
	for _, n := range names {
		ours, err := topicconf.Decode[topicconf.Ours](c.memory(topicconf.KeepOurs(n, string(c.m.o.Link.From))))
		if err != nil {
			return nil, nil, err
		}
		before, err := topicconf.Decode[topicconf.Intended](c.memory(topicconf.KeepIntended(n)))
		if err != nil {
			return nil, nil, err
		}
		out[n] = topicconf.Read(from.Topics[n], have[n], ours, before)
	}
	return out, have, nil
}

// align brings the settings of topics that exist to what they have to be while mirrored.
func (c *conf) align(ctx context.Context, names []string, from, to cluster.Metadata) error {
	if len(names) == 0 {
		return nil
	}
	intended, source, err := c.read(ctx, names, from)
	if err != nil {
		return err
	}
	target, err := c.m.target.c.DescribeTopicConfigs(ctx, c.m.o.Lease, names)
	if err != nil {
		return err
	}
	if err := c.putRight(ctx, names, from, intended, source); err != nil {
		return err
	}
	for _, n := range names {
		in, have := intended[n], topicconf.Values(target[n])
		rf := max(to.Topics[n].Replication(), 1)
		want := topicconf.Mirroring(in)
		if topicconf.IsFence(have[topicconf.AppendLimit].Value) {
			delete(want, topicconf.AppendLimit) // a fence is lifted by whoever set it
		}
		if err := c.keep(n, in, want); err != nil {
			return err
		}
		c.explain(n, in, source[n], have, rf)
		if c.m.o.Frozen() {
			return nil
		}
		change := topicconf.Change(want, have, rf)
		if err := c.m.target.c.AlterTopicConfigs(ctx, c.m.o.Lease, n, change); err != nil {
			return err
		}
	}
	return nil
}

// explain notes what is not as the owner has it on the source.
func (c *conf) explain(topic string, in topicconf.Intended, source, target topicconf.Values, rf int16) {
	notes := slices.Clone(c.late.undone[topic])
	for _, n := range topicconf.NotCopied(in, source, target, rf) {
		notes = append(notes, fmt.Sprintf("topic %s: %s is not copied: %s", topic, n.Setting, n.Why))
	}
	if over := topicconf.OverRetained(in, target); len(over) > 0 {
		notes = append(notes, fmt.Sprintf("topic %s keeps more than intended while mirrored: %v", topic, over))
	}
	c.say(topic, notes)
}

func (c *conf) memory(name string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[name]
}

// keep remembers what is intended and what is about to be set, durably, where that is new.
func (c *conf) keep(topic string, in topicconf.Intended, want map[string]string) error {
	docs := understudy.Keep{
		topicconf.KeepIntended(topic):                    topicconf.Encode(in),
		topicconf.KeepOurs(topic, string(c.m.o.Link.To)): topicconf.Encode(topicconf.Set(want, in)),
	}
	c.mu.Lock()
	for name, doc := range docs {
		if string(c.kept[name]) == string(doc) {
			delete(docs, name)
		}
	}
	c.mu.Unlock()
	if len(docs) == 0 {
		return nil
	}
	c.m.keep(docs)
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, doc := range docs {
		c.kept[name] = doc
	}
	return nil
}
