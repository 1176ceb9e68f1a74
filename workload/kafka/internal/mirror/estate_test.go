package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

func (e *end) commit(t *testing.T, group, topic string, at ...int64) {
	t.Helper()
	e.commitWith(t, group, topic, "", at...)
}

// commitWith commits a text with the positions.
func (e *end) commitWith(t *testing.T, group, topic, text string, at ...int64) {
	t.Helper()
	o := kadm.Offsets{}
	for p, v := range at {
		o.Add(kadm.Offset{Topic: topic, Partition: int32(p), At: v, LeaderEpoch: -1, Metadata: text})
	}
	got, err := e.a.CommitOffsets(t.Context(), group, o)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// positions gives the group's positions as text, such as "5 7".
func (e *end) positions(t *testing.T, group, topic string, parts int32) string {
	t.Helper()
	got, err := e.a.FetchOffsets(t.Context(), group)
	if err != nil {
		return err.Error()
	}
	var out []string
	for p := range parts {
		if o, ok := got.Lookup(topic, p); ok {
			out = append(out, fmt.Sprint(o.At))
		} else {
			out = append(out, "-")
		}
	}
	return strings.Join(out, " ")
}

func (e *end) waitPositions(t *testing.T, group, topic, want string) {
	t.Helper()
	until(t, func() (bool, string) {
		got := e.positions(t, group, topic, int32(len(strings.Fields(want))))
		return got == want, fmt.Sprintf("positions %s instead of %s", got, want)
	})
}

func TestGroupsFollow(t *testing.T) {
	s := live.start(t)
	for name, swap := range map[string]bool{"3.9 to 4.4": false, "4.4 to 3.9": true} {
		t.Run(name, func(t *testing.T) {
			a, b := s.old, s.new
			if swap {
				a, b = b, a
			}
			from, to := pair(t, a, b)
			topic := from.topic(t, 2, nil)
			group, lonely := "group-"+topic, "lonely-"+topic
			from.write(t, topic, 2, 50)
			from.commit(t, group, topic, 10, 20)
			r := run(t, options(from, to, 3, topic))
			r.caughtUp(from, to, topic)
			to.waitPositions(t, group, topic, "10 20")
			to.commit(t, lonely, topic, 7, 7)
			// Each is committed when the one before has just been copied, so each waits for a whole round. The machine may hold
			// up one or two of them.
			var took []time.Duration
			for at := int64(26); at <= 30; at++ {
				asked := time.Now()
				from.commit(t, group, topic, at, 20)
				to.waitPositions(t, group, topic, fmt.Sprint(at, " 20"))
				took = append(took, time.Since(asked))
			}
			if slices.Sort(took); took[2] > time.Second {
				t.Errorf("five positions took %v", took)
			}
			from.commit(t, group, topic, 5, 20) // moved back by its owner
			to.waitPositions(t, group, topic, "5 20")
			from.commit(t, group, topic, 500, 40) // beyond the end: capped until it is there
			to.waitPositions(t, group, topic, "50 40")
			from.write(t, topic, 2, 100)
			to.waitPositions(t, group, topic, "150 40")
			if got := to.positions(t, lonely, topic, 2); got != "7 7" {
				t.Errorf("a group of the target's own was moved to %s", got)
			}
		})
	}
}

// committed gives position and text of the first partition.
func (e *end) committed(t *testing.T, group, topic string) string {
	t.Helper()
	got, err := e.a.FetchOffsets(t.Context(), group)
	if err != nil {
		return err.Error()
	}
	o, _ := got.Lookup(topic, 0)
	return fmt.Sprint(o.At, " ", o.Metadata)
}

func TestSimulatedGroupsOfMoversThatDied(t *testing.T) {
	from, to := simulated(t)
	groupsOfMoversThatDied(t, from, to)
}

func TestGroupsOfMoversThatDied(t *testing.T) {
	s := live.start(t)
	for name, swap := range map[string]bool{"3.9 to 4.4": false, "4.4 to 3.9": true} {
		t.Run(name, func(t *testing.T) {
			a, b := s.old, s.new
			if swap {
				a, b = b, a
			}
			from, to := pair(t, a, b)
			groupsOfMoversThatDied(t, from, to)
		})
	}
}

// groupsOfMoversThatDied copies positions each time by a mover that remembers nothing of the one before.
func groupsOfMoversThatDied(t *testing.T, from, to *end) {
	topic := from.topic(t, 1, nil)
	to.create(t, topic, 1, nil)
	group, long := "group-"+topic, strings.Repeat("x", 4096)
	from.write(t, topic, 1, 50)
	to.write(t, topic, 1, 50)
	o := options(from, to, 3, topic)
	for _, step := range []struct {
		what string
		at   *end
		pos  int64
		text string
		want string
	}{
		{"first seen", from, 30, "app", "30 understudy:30;app"},
		{"moved back", from, 10, "app", "10 understudy:10;app"},
		{"moved on, with another text", from, 12, "other", "12 understudy:12;other"},
		{"beyond the end", from, 500, "app", "50 understudy:500;app"},
		{"moved back from there", from, 40, "", "40 understudy:40;"},
		{"moved on by the target's own members", to, 45, "mine", "45 understudy:40;mine"},
		{"moved on below that", from, 42, "app", "45 understudy:42;mine"},
		{"no room for a note", from, 46, long, "46 " + long},
		{"the same again", from, 46, long, "46 " + long},
		{"room again", from, 47, "app", "47 understudy:47;app"},
	} {
		step.at.commitWith(t, group, topic, step.text, step.pos)
		for range 2 { // the second finds nothing to do
			g := mirror.GroupOptions{Source: from.c, Target: to.c, Topic: o.Topic, Group: o.Group}
			if _, err := mirror.SyncGroupsOnce(t.Context(), g); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if got := to.committed(t, group, topic); got != step.want {
				t.Fatalf("%s: %.80s, not %.80s", step.what, got, step.want)
			}
		}
	}
}

// TestRewindWhileTheMoverIsKilled kills the mover's process, moves a group back on the source, and lets another
// process go on.
func TestRewindWhileTheMoverIsKilled(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	group := "group-" + topic
	from.write(t, topic, 1, 50)
	from.commit(t, group, topic, 40)
	o := order{From: s.old.Addr(), To: s.new.Addr(), Topic: topic, Epoch: 3}
	kill := spawn(t, o)
	to.waitPositions(t, group, topic, "40")
	kill()
	from.commit(t, group, topic, 15)
	defer spawn(t, o)()
	to.waitPositions(t, group, topic, "15")
}

func TestGroupActiveOnTheTargetIsLeftAlone(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	group := "group-" + topic
	from.write(t, topic, 1, 50)
	from.commit(t, group, topic, 40)
	o := options(from, to, 3, topic)
	o.Group = func(string) bool { return false }
	r := run(t, o)
	r.caughtUp(from, to, topic)
	cl, err := kgo.NewClient(kgo.SeedBrokers(to.b.Addr()), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	cl.PollFetches(t.Context())
	g := mirror.GroupOptions{Source: from.c, Target: to.c, Topic: o.Topic, Group: func(n string) bool { return n == group }, Exact: true}
	rep, err := mirror.SyncGroupsOnce(t.Context(), g)
	if err != nil || !slices.Equal(rep.ActiveAtTarget, []string{group}) || rep.Copied != 0 {
		t.Fatalf("%+v %v", rep, err)
	}
	cl.Close()
	until(t, func() (bool, string) {
		rep, err = mirror.SyncGroupsOnce(t.Context(), g)
		return err == nil && rep.Copied == 1, fmt.Sprintf("%+v %v", rep, err)
	})
	to.waitPositions(t, group, topic, "40")
}

func TestReverseSetsPositionsExactlyOnce(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	group := "group-" + topic
	from.write(t, topic, 1, 50)
	o := options(from, to, 3, topic)
	r := run(t, o)
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	from.commit(t, group, topic, 10)
	to.commit(t, group, topic, 45) // ahead, from a life before
	r = run(t, o)
	from.write(t, topic, 1, 1)
	r.caughtUp(from, to, topic)
	until(t, func() (bool, string) { return r.progress().State == understudy.Protected, "" })
	if got := to.positions(t, group, topic, 1); got != "45" {
		t.Errorf("a forward link moved a group back to %s", got)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	o.Reverse = true
	run(t, o)
	to.waitPositions(t, group, topic, "10")
}

func TestTopicsAndPartitionsFollow(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	first := from.topic(t, 1, map[string]string{"retention.ms": "86400000", "max.message.bytes": "2000000", "leader.replication.throttled.replicas": "*"})
	second := first + "-later"
	o := options(from, to, 3, first, second)
	var frozen atomic.Bool
	var scans atomic.Int64 // while frozen: each asks once
	o.Frozen = func() bool {
		if frozen.Load() {
			scans.Add(1)
		}
		return frozen.Load()
	}
	r := run(t, o)
	from.write(t, first, 1, 5)
	r.caughtUp(from, to, first)
	config(t, to, first, "retention.ms", "-1")
	if k := string(r.kept["topic/"+first+"/intended"]); !strings.Contains(k, `"retention.ms":"86400000"`) {
		t.Errorf("kept %s", k)
	}
	made := time.Now()
	from.create(t, second, 2, map[string]string{"cleanup.policy": "compact"})
	config(t, to, second, "cleanup.policy", "compact,delete")
	inTime(t, "a new topic", made)
	from.write(t, second, 2, 5)
	r.caughtUp(from, to, second)
	made = time.Now()
	if _, err := from.a.CreatePartitions(t.Context(), 2, second); err != nil {
		t.Fatal(err)
	}
	until(t, func() (bool, string) { e := to.ends(t, second); return len(e) == 4, fmt.Sprint(e) })
	inTime(t, "new partitions", made)
	from.write(t, second, 4, 5)
	r.caughtUp(from, to, second)
	if _, err := from.a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "min.insync.replicas", Value: kadm.StringPtr("1")}, {Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("12345678")}}, first); err != nil {
		t.Fatal(err)
	}
	config(t, to, first, "segment.bytes", "12345678")
	r.notes(t, "topic "+first+" keeps more than intended while mirrored: [retention.ms]", "topic "+first+": leader.replication.throttled.replicas is not copied: ")
	frozen.Store(true)
	if _, err := from.a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("23456789")}}, first); err != nil {
		t.Fatal(err)
	}
	if _, err := from.a.CreatePartitions(t.Context(), 1, first); err != nil {
		t.Fatal(err)
	}
	from.write(t, first, 1, 5) // data goes on
	until(t, func() (bool, string) { e := to.ends(t, first); return e[0] == 10, fmt.Sprint(e) })
	// One that is not frozen looks at settings every eighth time.
	until(t, func() (bool, string) { return scans.Load() > 9, fmt.Sprint(scans.Load(), " scans") })
	if e := to.ends(t, first); len(e) != 1 {
		t.Errorf("a frozen mirror made a partition: %v", e)
	}
	config(t, to, first, "segment.bytes", "12345678")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// inTime wants something new on the source to be there within ten seconds.
func inTime(t *testing.T, what string, made time.Time) {
	t.Helper()
	if late := time.Since(made); late > 10*time.Second {
		t.Errorf("%s took %v", what, late)
	}
}

// notes waits until there is a note that begins so, for each of them.
func (r *running) notes(t *testing.T, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		until(t, func() (bool, string) {
			notes := r.progress().Notes
			return slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, want) }), fmt.Sprintf("no %q in %q", want, notes)
		})
	}
}

func config(t *testing.T, e *end, topic, name, want string) {
	t.Helper()
	until(t, func() (bool, string) {
		got, err := e.a.DescribeTopicConfigs(t.Context(), topic)
		if err != nil {
			return false, err.Error()
		}
		for _, c := range got[0].Configs {
			if c.Key == name {
				return c.MaybeValue() == want, fmt.Sprintf("%s=%s", name, c.MaybeValue())
			}
		}
		return false, "no such setting"
	})
}
