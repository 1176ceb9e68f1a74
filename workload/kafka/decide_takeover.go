package kafka

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// takeover is the stages of switchover, failback and rollback, and of failover, where the old side may be out
// of reach: then it is neither fenced nor drained here, and control demands a named acceptance for it.
func (d *decision) takeover(failover bool) error {
	old := d.facts.Sites[d.stage.Old] != nil
	switch d.stage.Name {
	case understudy.StageCheck:
		if err := d.checkTakeover(failover); err != nil {
			return err
		}
		d.foretellUnguarded(d.stage.Old, "after PROMOTE")
		return nil
	case understudy.StageProvision:
		return d.checkTakeover(failover)
	case understudy.StageFence:
		if failover && !old {
			if e := d.seen.Sites[d.stage.Old].Error; e != nil && e.Kind == understudy.KindDenied {
				return e // it answers, so that nobody's word is enough
			}
			d.stamp(d.stage.To)
			return nil
		}
		return d.fence(d.stage.Old)
	case understudy.StageDrain, understudy.StageSalvage:
		if !old && failover {
			return nil
		}
		return d.drain(failover)
	case understudy.StageHalt:
		return d.halt()
	case understudy.StageCut:
		return d.cut(!failover)
	case understudy.StagePromote:
		return d.reprove()
	case understudy.StageEnable:
		return d.enable()
	case understudy.StageProve:
		return d.open()
	case understudy.StageGuard:
		return d.guardOld(d.stage.Old)
	case understudy.StageReverse:
		return d.standIns(d.stage.To, d.stage.Old)
	}
	return nil
}

func (d *decision) checkTakeover(failover bool) error {
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	sites := []understudy.Site{d.stage.To}
	if !failover {
		if _, err := d.present(d.stage.Old); err != nil {
			return err
		}
		sites = append(sites, d.stage.Old)
	}
	if err := d.findings(sites...); err != nil {
		return err
	}
	if len(target.Topics) == 0 {
		return &understudy.Error{
			Code: "US105", Kind: understudy.KindRefused, Op: "kafka.check", Object: d.w.object(d.stage.To, ""),
			Summary: "none of the topics exists there: there is nothing to take over", Fix: "protect the plan first",
		}
	}
	if d.stage.Now.Epoch+3 > mirror.MaxEpoch {
		return &understudy.Error{
			Code: "US117", Kind: understudy.KindRefused, Op: "kafka.check", Object: d.w.object("", ""),
			Summary: fmt.Sprintf("role epoch %d leaves no room for a takeover", d.stage.Now.Epoch), Fix: "unprotect and protect again under a new name",
		}
	}
	return d.movers(sites...)
}

// foretellUnguarded says, before anybody approves, that lifting the append limit of the side that becomes a secondary
// will leave it open to anyone.
func (d *decision) foretellUnguarded(s understudy.Site, when string) {
	f := d.facts.Sites[s]
	if deny, _ := d.w.sites[s].means(f); deny && !f.Everyone || f.allDenied() {
		return
	}
	note := fmt.Sprintf("%s will be unguarded: %s its append limit is lifted for the mirror, and writers cannot be denied there by name; from then on it takes writes of anyone, and foreign writes are detected", s, when)
	d.step(stepRemember, understudy.Idempotent, "", rememberArgs{Notes: []string{note}}, "%s", note).ID = "foretell/" + string(s)
}

// means says how ordinary writers are kept off a site. Where there is an authorizer they are denied by name.
// The append limit serves where there is none, where somebody could write who cannot be denied by name, and
// where no writer's credentials are there to prove the denial with. It serves, too, where no rule allows anybody
// anything on a topic: brokers with allow.everyone.if.no.acl.found let everybody in there, and the first denial
// would end that for readers and for the mover as well. They do not tell whether they do.
func (s *site) means(f *SiteFacts) (deny, limit bool) {
	deny = f.Authorizer && len(f.Writers) > 0 && len(f.covered()) > 0
	limit = !deny || f.Everyone || s.writer == nil || len(f.Bare) > 0
	return deny, limit
}

// fence closes a site to ordinary writers, and proves it.
func (d *decision) fence(s understudy.Site) error {
	f, err := d.present(s)
	if err != nil {
		return err
	}
	if err := d.movers(s); err != nil {
		return err
	}
	deny, limit := d.w.sites[s].means(f)
	var rules []cluster.ACL
	var limits []string
	if deny {
		rules = denyRules(f.covered(), f.Writers)
	}
	if limit {
		limits = f.names()
	}
	d.rememberFence(s, f, rules, limits)
	d.stampBoth()
	before := topicconf.Encode(d.fenceMemory(s, f, rules, limits))
	if deny {
		step := d.step(stepDeny, understudy.Idempotent, s, denyArgs{base: d.at(s), Rules: rules, Topics: f.names()},
			"deny %s to write %d topics on %s", strings.Join(f.Writers, ", "), len(f.Topics), s)
		step.Before = before
	}
	topics := topicsArgs{d.at(s), f.names()}
	patience := f.MaxTransaction + 10*time.Second
	level, by := understudy.F2, "by ACL"
	if limit {
		step := d.step(stepClose, understudy.ProbeFirst, s, closeArgs{topics, patience}, "close %d topics on %s to appends", len(f.Topics), s)
		step.Timeout, step.Before = patience+time.Minute, before
		level, by = understudy.F3, "by append limit"
	}
	step := d.step(stepFenced, understudy.Idempotent, s, fencedArgs{topicsArgs: topics, Level: level, Patience: patience, Hasty: d.hasty()},
		"prove on every partition that writes on %s are refused %s", s, by)
	step.Timeout = patience + 3*time.Minute // two rounds of probes, and replicas, have times of their own
	return nil
}

// hasty says whether the operation must not wait for brokers of the old primary that are gone.
func (d *decision) hasty() bool {
	return d.stage.Verb == understudy.Failover || d.stage.Verb == understudy.Duty
}

func (d *decision) rememberFence(s understudy.Site, f *SiteFacts, rules []cluster.ACL, limits []string) {
	docs := map[string]any{keepFence(s): d.fenceMemory(s, f, rules, limits)}
	if clusterOf(d.stage.Kept, s) == "" {
		docs[keepCluster(s)] = f.ClusterID
	}
	d.remember(docs)
}

// stampBoth writes the present role onto both sites, as far as they answer.
func (d *decision) stampBoth() {
	for _, s := range []understudy.Site{d.stage.Old, d.stage.To} {
		if f := d.facts.Sites[s]; f != nil && !f.OwnTopic {
			d.step(stepOwnTopic, understudy.Idempotent, s, d.at(s), "make understudy's own topic on %s", s)
		}
	}
	d.stamp(d.stage.Old, d.stage.To)
}

// drain waits until the target holds what the fenced source holds, or in a failover as much as can be had,
// and copies the groups' positions once more.
func (d *decision) drain(salvage bool) error {
	source, err := d.present(d.stage.Old)
	if err != nil {
		return err
	}
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	d.late(source, target)
	a := linkArgs{base: d.at(d.stage.To), From: d.stage.Old, To: d.stage.To, Topics: source.names(), Salvage: salvage}
	verb := "wait until %s holds all that %s holds"
	if salvage {
		verb = "let %s take what %s still gives"
	}
	step := d.step(stepDrain, understudy.Idempotent, d.stage.To, a, verb, d.stage.To, d.stage.Old)
	step.Timeout = 30 * time.Minute
	step.Skippable = salvage
	groups := d.step(stepGroups, understudy.Idempotent, d.stage.To, a, "copy the groups' positions to %s once more", d.stage.To)
	groups.Skippable = salvage
	return nil
}

// late makes on the target the topics and partitions that came into being after the freeze: a frozen mover makes
// none, and copies those that are there.
func (d *decision) late(source, target *SiteFacts) {
	a := createArgs{base: d.at(d.stage.To)}
	for _, name := range source.names() {
		have := target.Topics[name]
		if have != nil && len(have.Partitions) >= len(source.Topics[name].Partitions) {
			continue
		}
		in := d.intended(source, name, d.stage.Old)
		a.Topics = append(a.Topics, d.newTopic(in, target))
		d.remember(map[string]any{
			topicconf.KeepIntended(name):                 in,
			topicconf.KeepOurs(name, string(d.stage.To)): topicconf.Set(topicconf.Mirroring(in), in),
		})
	}
	if len(a.Topics) > 0 {
		d.step(stepCreate, understudy.ProbeFirst, d.stage.To, a, "make %d topics on %s that appeared after the freeze", len(a.Topics), d.stage.To)
	}
}

// halt ends the mover of the link for good, provably.
func (d *decision) halt() error {
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	a, err := d.haltArgs(target)
	if err != nil {
		return err
	}
	if _, err := mirror.ProducerEpoch(a.Epoch); err != nil {
		return err
	}
	d.step(stepHalt, understudy.ProbeFirst, d.stage.To, a, "halt the mover on every partition of %s with epoch %d", d.stage.To, a.Epoch)
	return nil
}

func (d *decision) haltArgs(target *SiteFacts) (haltArgs, error) {
	pid, err := d.pid(d.stage.Old, d.stage.To)
	if err != nil {
		return haltArgs{}, err
	}
	return haltArgs{
		linkArgs: linkArgs{base: d.at(d.stage.To), From: d.stage.Old, To: d.stage.To, Topics: target.names()},
		PID:      pid, Epoch: d.stage.Now.Epoch, Since: vector(target.ends()),
	}, nil
}

// halted gives the halt as this operation's receipt tells it. Without a receipt, as in a dry run, it is what
// the halt would be now; the steps that rest on it read the log and find nothing if it did not happen.
func (d *decision) halted() (haltArgs, error) {
	target, err := d.present(d.stage.To)
	if err != nil {
		return haltArgs{}, err
	}
	a, err := d.haltArgs(target)
	if err != nil {
		return haltArgs{}, err
	}
	if r, ok := d.stage.Receipt(stepHalt); ok {
		if h, ok := detail[haltDetail](r); ok {
			a.Epoch, a.PID, a.Since = h.Epoch, h.PID, h.Markers
		}
	}
	return a, nil
}

// cut reads the cut back from the log.
func (d *decision) cut(common bool) error {
	a, err := d.halted()
	if err != nil {
		return err
	}
	if common {
		if _, err := d.present(d.stage.Old); err != nil {
			return err
		}
	}
	d.step(stepCut, understudy.Idempotent, d.stage.To, cutArgs{a, d.lowestHalt(), common}, "read the cut back from the log of %s", d.stage.To)
	return nil
}

// reprove looks again, right before the role changes, at what the change rests on.
func (d *decision) reprove() error {
	a, err := d.halted()
	if err != nil {
		return err
	}
	if f := d.facts.Sites[d.stage.Old]; f != nil {
		if _, fenced := d.stage.Receipt(stepFenced); fenced {
			d.proveFence(d.stage.Old, f)
		}
	}
	d.step(stepHalted, understudy.Idempotent, d.stage.To, a, "prove once more that the mover is halted on every partition of %s", d.stage.To)
	return nil
}

func (d *decision) proveFence(s understudy.Site, f *SiteFacts) {
	level := understudy.F2
	if _, limit := d.w.sites[s].means(f); limit {
		level = understudy.F3
	}
	d.step(stepFenced, understudy.Idempotent, s, fencedArgs{topicsArgs: topicsArgs{d.at(s), f.names()}, Level: level, Patience: 10 * time.Second, Hasty: d.hasty()},
		"prove once more that writes on %s are refused", s)
}

// enable gives the new side everything that ordinary writers need. The role is already theirs.
func (d *decision) enable() error {
	to := d.stage.To
	f, err := d.present(to)
	if err != nil {
		return err
	}
	d.stamp(to, d.stage.Old)
	a := d.configArgs(to, f)
	step := d.step(stepEnable, understudy.Idempotent, to, a, "restore what shapes new writes of %d topics on %s", len(a.Topics), to)
	step.Late, step.Before = true, settingsBefore(f)
	d.liftFence(to, "let ordinary writers write on %s", true)
	d.regroup(to)
	return nil
}

// regroup puts the groups' positions right, as they were copied at the cut, and takes the mover's notes off all
// that it ever copied.
func (d *decision) regroup(to understudy.Site) {
	a := regroupArgs{base: d.at(to)}
	if r, ok := d.stage.Receipt(stepGroups); ok {
		if g, ok := detail[groupsDetail](r); ok {
			a.Positions = g.Positions
		}
	}
	s := d.step(stepRegroup, understudy.Idempotent, to, a, "put the groups' positions right on %s", to)
	s.Late, s.Skippable = true, true
}

func (d *decision) configArgs(s understudy.Site, f *SiteFacts) configArgs {
	a := configArgs{base: d.at(s), Topics: map[string]topicconf.Intended{}, Ours: map[string]topicconf.Ours{}}
	for _, name := range f.names() {
		in, ok := intendedOf(d.stage.Kept, name)
		if !ok {
			in = d.intended(f, name, s)
		}
		a.Topics[name] = in
		ours := oursOf(d.stage.Kept, name, s)
		if ours == nil {
			ours = topicconf.Set(topicconf.Mirroring(in), in)
		}
		a.Ours[name] = ours
	}
	return a
}

// liftFence undoes what understudy did to keep ordinary writers off a site: all of it.
func (d *decision) liftFence(s understudy.Site, format string, late bool) {
	mem := fenceOf(d.stage.Kept, s)
	if len(mem.Limits) > 0 {
		d.step(stepReopen, understudy.Idempotent, s, reopenArgs{base: d.at(s), Limits: mem.Limits, Forget: &fenceMemory{Denies: mem.Denies}},
			"restore the append limit of %d topics on %s", len(mem.Limits), s).Late = late
	}
	if len(mem.Denies) > 0 {
		d.step(stepUndeny, understudy.Idempotent, s, denyArgs{base: d.at(s), Rules: mem.Denies, Forget: &fenceMemory{}}, format, s).Late = late
	}
}

// open proves that the new side takes writes.
func (d *decision) open() error {
	f, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	d.step(stepOpen, understudy.Idempotent, d.stage.To, topicsArgs{d.at(d.stage.To), f.names()}, "prove that %s takes writes on every partition", d.stage.To)
	return nil
}

// guardOld turns the fence of the old primary into the guard of a secondary: the denials stand, and the append
// limit goes back, because it would stop our own mirror too.
func (d *decision) guardOld(s understudy.Site) error {
	f, err := d.present(s)
	if err != nil {
		return err
	}
	mem := fenceOf(d.stage.Kept, s)
	if len(mem.Limits) == 0 {
		return nil
	}
	a := reopenArgs{
		base: d.at(s), Limits: mem.Limits, Forget: &fenceMemory{Denies: mem.Denies},
		Unguarded: f.Everyone || len(mem.Denies) == 0 && !f.allDenied(),
	}
	step := d.step(stepReopen, understudy.Idempotent, s, a, "let the mirror write %d topics on %s", len(mem.Limits), s)
	step.Late = true
	if a.Unguarded {
		step.Summary += ", and with it anyone: it is unguarded from then on"
	}
	return nil
}

// standIns puts the stand-ins of mirroring onto the target of a link that is about to run.
func (d *decision) standIns(source, target understudy.Site) error {
	f, err := d.present(target)
	if err != nil {
		return err
	}
	a := configArgs{base: d.at(target), Topics: map[string]topicconf.Intended{}}
	docs := map[string]any{}
	for _, name := range f.names() {
		in, ok := intendedOf(d.stage.Kept, name)
		if !ok {
			continue
		}
		a.Topics[name] = in
		docs[topicconf.KeepOurs(name, string(target))] = topicconf.Set(topicconf.Mirroring(in), in)
	}
	d.remember(docs)
	step := d.step(stepStandIns, understudy.Idempotent, target, a, "let nothing be dropped or refused by settings of %d topics on %s", len(a.Topics), target)
	step.Before = settingsBefore(f)
	return nil
}

// settingsBefore gives each topic's own settings, as the before-image of a step that changes some of them.
func settingsBefore(f *SiteFacts) json.RawMessage {
	out := map[string]map[string]string{}
	for name, t := range f.Topics {
		out[name] = map[string]string{}
		for setting, v := range t.Values {
			if v.Own() && !v.Sensitive {
				out[name][setting] = v.Value
			}
		}
	}
	return topicconf.Encode(out)
}
