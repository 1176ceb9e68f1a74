package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// TestKafkaActivePassive tells the stories of the article's heading "Apache Kafka: active-passive" on two real
// clusters. They run one after the other, beside those of storage, on the same servers, each with topics, a plan and a
// control plane of its own.
func TestKafkaActivePassive(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	e.java = kafka.OpenClient(t, kafka.V44)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *estate)
	}{
		{"region lost and home again", regionLost},
		{"killed while mirroring", killedMirroring},
		{"turned back before promote", turnedBack},
		{"crashed between the steps of a failover, and the leader paused in one", brokenFailovers},
		{"zombie mover", zombieMover},
		{"served and stopped", servedAndStopped},
		{"access control", accessControl},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, e) })
	}
}

// lossStory is one plan from its first copy over the loss of its region until it is home again.
type lossStory struct {
	t *testing.T
	e *estate
	p *plane
	mix
	groups map[string][]kafka.Offset
	load   *kafka.Load
	// answers are all of the load on the old primary, and kept what of them stood in the west after the takeover.
	east loaded
	// survived is the west right after the takeover; lost is what the east had beside it.
	survived kafka.Contents
	takeover reportView
}

const plan = "contoso"

func regionLost(t *testing.T, e *estate) {
	s := &lossStory{t: t, e: e, mix: mix{"story"}}
	e.toEast.Delay(50 * time.Millisecond)
	defer e.toEast.Heal()
	s.protect()
	s.loseRegion()
	s.returnFenced()
	lost := s.onlyInTheEast()
	s.reprotect(lost)
	s.comeHome()
}

// protect makes topics and groups, protects them, and finds them again in the west.
func (s *lossStory) protect() {
	s.mix.make(s.t, s.e)
	s.groups = s.mix.groups(s.t, s.e)
	s.p = s.e.serve(s.t, "")
	s.p.apply(s.e.documents(plan, s.pattern()))
	s.p.report("protect", plan)
	s.p.await(plan, "protected", protected)
	s.e.caughtUp(s.t, s.all()...)
	s.e.identical(s.t, s.topic("latest"), s.all()...)
	s.e.followedGroups(s.t, s.e.west, s.groups)
}

// loseRegion kills the primary while it takes writes, and fails over.
func (s *lossStory) loseRegion() {
	t := s.t
	s.load, _ = s.e.load(t, s.e.east, kafka.Steady{Topic: s.topic("orders"), Partitions: 3, Rate: 100, Size: 300, Prefix: "east"})
	s.east.prefix = "east"
	must(t, s.load.WaitAcks(t.Context(), 250))
	must(t, s.e.east.Kill())
	refusal := s.p.refused(5, "failover", plan, "--confirm", plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "1ms")
	t.Logf("refused above the highest loss: %s %s", refusal.Code, refusal.Why)
	if _, v := s.p.status(plan); v.Current == nil {
		t.Fatal("the refused failover is not shown")
	} else {
		s.p.run("abort", v.Current.ID)
		if op := s.p.rested(v.Current.ID); op.State != "aborted" {
			t.Fatalf("the refused failover is %+v", op)
		}
	}
	s.takeover = s.p.report("failover", plan, "--confirm", plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "1m")
	s.takeover.times(t)
	s.survived = s.e.dump(t, s.e.west, kafka.ReadCommitted, s.all()...)
	s.east.answers = s.load.Answers()
	found := s.east.soundIn(t, s.survived)
	claimed := s.takeover.Loss[0].Rebound
	lost, span := s.east.provenAt(t, found, *claimed)
	acted := false
	for _, w := range s.takeover.Who {
		acted = acted || strings.HasPrefix(w.By, "ada ")
	}
	if !acted {
		t.Errorf("nobody gave their word: %+v", s.takeover.Who)
	}
	r := s.takeover.RTO
	t.Logf("claimed bound %v, realised loss %v (%d of %d acknowledged records)", claimed.Bound, span, lost, len(s.east.answers.Acks))
	t.Logf("RTO %v = detect %v + confirm %v + approve %v + fence %v + promote %v + verify %v; route %v",
		r.Total, r.Detect, r.Confirm, r.Approve, r.Fence, r.Promote, r.Verify, r.Route)
	s.e.sameGroups(t, s.e.west, s.groups)
	s.e.send(t, s.e.west, nil, numbered(s.topic("orders"), 3, 300, "west")...)
}

// returnFenced boots the old primary with producers still trying, and waits for its fence.
func (s *lossStory) returnFenced() {
	t := s.t
	must(t, s.e.east.Restart(t.Context()))
	back := time.Now()
	w := s.p.await(plan, "the old primary is fenced", func(w workloadView, _ statusView) bool {
		return len(w.Old) == 1 && w.Old[0].State == "fenced" && w.Old[0].Proof != nil
	})
	proof := w.Old[0].Proof
	if !proof.Complete || proof.Level != "F3" {
		t.Errorf("the proof of the fence is %+v", proof)
	}
	t.Logf("fenced %v after its start: %s", time.Since(back), proof.Means)
	s.p.duty(plan, "events", "east").times(t)
	s.east.answers = untilRefused(t, s.load)
	p, err := s.e.java.Producer(t.Context(), s.e.east.Access(), nil)
	must(t, err)
	a, err := p.Send(t.Context(), numbered(s.topic("orders"), 3, 3, "late")...)
	must(t, err)
	must(t, p.Close(t.Context()))
	if len(a.Acks) != 0 || !strings.HasPrefix(a.Refusals[0].Error, "RecordTooLarge") {
		t.Errorf("the fenced east answers %+v", a)
	}
}

// onlyInTheEast lists what the old primary has that the new one has not, by Kafka's own client.
func (s *lossStory) onlyInTheEast() map[place]kafka.Record {
	east := s.e.dump(s.t, s.e.east, kafka.ReadCommitted, s.all()...)
	kept := map[place]kafka.Record{}
	for _, r := range newest(s.survived, s.topic("latest")).Records {
		kept[placeOf(r)] = r
	}
	lost := map[place]kafka.Record{}
	for _, r := range newest(east, s.topic("latest")).Records {
		if r.Topic == s.topic("trimmed") && r.Offset < trimmedTo {
			// A broker writes its log starts to disk once a minute: kill -9 brings deleted records back.
			continue
		}
		if at := placeOf(r); !r.Equal(kept[at]) {
			lost[at] = r
		}
	}
	found := s.east.soundIn(s.t, east)
	if missing := s.east.missingFrom(found); len(missing) > 0 {
		s.t.Errorf("the east itself lost %d acknowledged records, the first %+v", len(missing), missing[0])
	}
	s.t.Logf("%d records stand in the east only, %d acknowledged in all", len(lost), len(s.east.answers.Acks))
	return lost
}

// reprotect commits, makes the old primary the secondary, and compares the ledger with what it had alone.
func (s *lossStory) reprotect(lost map[place]kafka.Record) {
	t := s.t
	s.p.report("commit", plan)
	back := s.p.report("reprotect", plan, "--confirm", plan)
	ledgers := decode[[]ledgerView](t, s.p.run("ledger", "show", plan))
	if len(lost) > 0 && len(ledgers) != 1 {
		t.Fatalf("ledgers are %+v", ledgers)
	}
	if len(lost) > 0 {
		if int(ledgers[0].Records) != len(lost) || ledgers[0].Proof == nil || !ledgers[0].Proof.Complete {
			t.Errorf("the ledger counts %d records of %d, proof %+v", ledgers[0].Records, len(lost), ledgers[0].Proof)
		}
		s.sameTimes(ledgers[0], lost)
		s.sameLedger(s.p.run("ledger", "export", plan, "events", back.Operation.ID), lost)
	}
	again := s.p.report("report", s.takeover.Operation.ID)
	if again.Loss[0].Realised == nil || int(*again.Loss[0].Realised) != len(lost) {
		t.Errorf("the failover's report now says %+v", again.Loss)
	}
	s.e.caughtUp(t, s.all()...)
	s.match()
	s.e.identical(t, s.topic("latest"), s.all()...)
}

// match wants a verification by content to say so.
func (s *lossStory) match() {
	v := s.p.report("verify", plan).Operation.Parts[0].Verdict
	if v == nil || v.Outcome != "MATCH" {
		s.t.Fatalf("the verdict is %+v", v)
	}
	s.t.Logf("verified: %s over %d records in %d partitions", v.Outcome, v.Compared, v.Shards)
}

// sameTimes compares the times between which the ledger says that records of a partition were written with the records' own.
func (s *lossStory) sameTimes(l ledgerView, lost map[place]kafka.Record) {
	type span struct{ first, last int64 }
	said, had := map[string]span{}, map[string]span{}
	widen := func(m map[string]span, shard string, first, last int64) {
		if old, ok := m[shard]; ok {
			first, last = min(first, old.first), max(last, old.last)
		}
		m[shard] = span{first, last}
	}
	for _, e := range l.Entries {
		if e.Records > 0 {
			widen(said, e.Shard, e.FirstAt.UnixMilli(), e.LastAt.UnixMilli())
		}
	}
	for _, r := range lost {
		widen(had, fmt.Sprintf("%s-%d", r.Topic, r.Partition), r.Timestamp, r.Timestamp)
	}
	if !maps.Equal(said, had) {
		s.t.Errorf("by the ledger the records were written, in milliseconds, at %v, and were at %v", said, had)
	}
}

// sameLedger compares the exported lines with the records.
func (s *lossStory) sameLedger(o outcome, lost map[place]kafka.Record) {
	left := maps.Clone(lost)
	lines := bufio.NewScanner(strings.NewReader(o.stdout))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var x ledgerLine
		must(s.t, json.Unmarshal(lines.Bytes(), &x))
		r := x.record(s.t)
		want, ok := left[placeOf(r)]
		r.TimestampType = want.TimestampType
		if !ok || !r.Equal(want) {
			s.t.Errorf("the ledger has %v, the east had %v", r, want)
		}
		delete(left, placeOf(r))
	}
	for _, r := range left {
		s.t.Errorf("not in the ledger: %v", r)
		return
	}
}

// ledgerLine is a line of an exported ledger.
type ledgerLine struct {
	Topic     string         `json:"topic"`
	Partition string         `json:"partition"`
	Offset    int64          `json:"offset"`
	Time      time.Time      `json:"time"`
	Key       []byte         `json:"key"`
	Value     []byte         `json:"value"`
	Headers   []kafka.Header `json:"headers"`
}

func (x ledgerLine) record(t *testing.T) kafka.Record {
	t.Helper()
	n, err := strconv.ParseInt(x.Partition, 10, 32)
	must(t, err)
	return kafka.Record{Topic: x.Topic, Partition: int32(n), Offset: x.Offset, Timestamp: x.Time.UnixMilli(), Key: x.Key, Value: x.Value, Headers: x.Headers}
}

// comeHome switches back under load, and commits.
func (s *lossStory) comeHome() {
	t := s.t
	load, producer := s.e.load(t, s.e.west, kafka.Steady{Topic: s.topic("orders"), Partitions: 3, Rate: 150, Size: 300, Prefix: "back"})
	must(t, load.WaitAcks(t.Context(), 150))
	back := s.p.begin("failback", plan, "--confirm", plan)
	l := loaded{prefix: "back", answers: untilRefused(t, load)}
	must(t, producer.Close(t.Context()))
	if op := s.p.rested(back.ID); op.State != "commit-window" {
		t.Fatalf("the failback is %+v", op)
	}
	answers, home := l.answers, s.p.report("report", back.ID)
	home.times(t)
	found := l.soundIn(t, s.e.dump(t, s.e.east, kafka.ReadCommitted, s.topic("orders")))
	if missing := l.missingFrom(found); len(missing) > 0 || len(answers.Refusals) == 0 {
		t.Errorf("the failback lost %d acknowledged records; %d were refused; the first %+v", len(missing), len(answers.Refusals), missing[:min(1, len(missing))])
	}
	t.Logf("failback under load: %d acknowledged, 0 lost, %v without writes", len(answers.Acks), home.RTO.Fence+home.RTO.Promote+home.RTO.Verify)
	s.e.send(t, s.e.east, nil, numbered(s.topic("orders"), 3, 30, "home")...)
	s.p.report("commit", plan)
	s.p.await(plan, "protected at home", func(w workloadView, v statusView) bool {
		return protected(w, v) && w.Role != nil && fmt.Sprint(w.Role.Active) == "[east]" && v.Current == nil
	})
	s.e.caughtUp(t, s.all()...)
	s.e.identical(t, s.topic("latest"), s.all()...)
	s.match()
	s.sameSettings()
}

// untilRefused lets a load run into a fence, and stops it there, as its operators would: a secondary without an
// authorizer cannot keep writers out for long.
func untilRefused(t *testing.T, load *kafka.Load) kafka.Answers {
	t.Helper()
	eventually(t, patience, "the load is refused", func() error {
		if len(load.Answers().Refusals) == 0 {
			return errNotYet
		}
		return nil
	})
	answers, err := load.Stop(t.Context())
	must(t, err)
	return answers
}

// sameSettings wants the home side to have its own configuration back.
func (s *lossStory) sameSettings() {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := s.e.java.Configs(ctx, s.e.east.Access(), s.topic("codecs"))
	must(s.t, err)
	for name, want := range map[string]string{"retention.ms": "604800001", "max.message.bytes": "1048588"} {
		if c[name].Value != want {
			s.t.Errorf("%s is %+v at home, wanted %s", name, c[name], want)
		}
	}
}
