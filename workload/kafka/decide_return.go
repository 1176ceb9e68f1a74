package kafka

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// abort takes a takeover back before its point of no return: the source gets the offset that the halt marker
// took on the target, and then ordinary writers are let in again.
func (d *decision) abort() error {
	switch d.stage.Name {
	case understudy.StageLevel:
		return d.level()
	case understudy.StageRestore:
		a, err := d.levelArgs()
		if err != nil {
			return err
		}
		d.untouched(a)
		return nil
	case understudy.StageUnfence:
		d.stamp(d.stage.Old, d.stage.To)
		d.liftFence(d.stage.Old, "let ordinary writers write on %s again", true)
		return nil
	case understudy.StageFollow:
		return d.refollow()
	}
	return d.unprotect() // the way back of a protect
}

func (d *decision) level() error {
	a, err := d.levelArgs()
	if err != nil {
		return err
	}
	d.untouched(a)
	d.step(stepLevel, understudy.ProbeFirst, d.stage.Old, a, "let %s end where the halted %s ends", d.stage.Old, d.stage.To)
	return nil
}

func (d *decision) untouched(a levelArgs) {
	a.base = d.at(d.stage.To)
	d.step(stepUntouched, understudy.Idempotent, d.stage.To, a, "prove that nobody but understudy wrote on %s", d.stage.To)
}

func (d *decision) levelArgs() (levelArgs, error) {
	if _, err := d.present(d.stage.Old); err != nil {
		return levelArgs{}, err
	}
	target, err := d.present(d.stage.To)
	if err != nil {
		return levelArgs{}, err
	}
	halt, err := d.pid(d.stage.Old, d.stage.To)
	if err != nil {
		return levelArgs{}, err
	}
	pid, err := d.pid(d.stage.To, d.stage.Old)
	if err != nil {
		return levelArgs{}, err
	}
	a := levelArgs{
		linkArgs: linkArgs{base: d.at(d.stage.Old), From: d.stage.Old, To: d.stage.To, Topics: target.names()},
		Halt:     halt, PID: pid, Since: d.sinceHalt(target), Epoch: d.lowestHalt(),
	}
	return a, nil
}

// lowestHalt is the lowest epoch that a halt marker of this takeover may have; a mover's own markers are below
// it. A failover that superseded a switchover inherits its halts, which have a lower epoch than its own.
func (d *decision) lowestHalt() understudy.RoleEpoch {
	lowest := d.stage.Now.Epoch
	if d.stage.Before.None() {
		lowest = min(lowest, d.stage.Before.Epoch)
	}
	for _, r := range d.stage.Receipts {
		if h, ok := detail[haltDetail](r); r.Kind == stepHalt && ok {
			lowest = min(lowest, h.Epoch)
		}
	}
	return lowest
}

// sinceHalt gives the offsets from which on only halt markers may stand on the target: the markers themselves
// where they are known, else the common end that the drain found, else the last offset.
func (d *decision) sinceHalt(target *SiteFacts) Vector {
	since := vector(target.ends())
	for _, list := range since {
		for i := range list {
			list[i] = max(list[i]-1, 0)
		}
	}
	if r, ok := d.stage.Receipt(stepHalt); ok {
		if h, ok := detail[haltDetail](r); ok {
			return h.Markers
		}
	}
	if r, ok := d.stage.Receipt(stepDrain); ok {
		if e, ok := detail[fencedDetail](r); ok {
			return e.Ends
		}
	}
	return since
}

// refollow makes anew on the target whatever could not be levelled.
func (d *decision) refollow() error {
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	for _, name := range target.names() {
		if _, broken := d.stage.Kept[keepBroken(name)]; broken {
			d.remake(d.stage.To, d.facts.Sites[d.stage.Old], target, name, nil)
		}
	}
	return nil
}

// commit makes a takeover final: retention and cleanup are the owner's again.
func (d *decision) commit() error {
	if d.stage.Name != understudy.StageRelease {
		return nil
	}
	for _, s := range d.stage.Now.Active {
		f, err := d.present(s)
		if err != nil {
			return err
		}
		a := d.configArgs(s, f)
		step := d.step(stepRestore, understudy.Idempotent, s, a, "restore retention and cleanup of %d topics on %s", len(a.Topics), s)
		step.Late, step.Before = true, settingsBefore(f)
		// What the topics had there before they were copies is nobody's wish any more.
		var drop []string
		for _, name := range f.names() {
			if _, ok := beforeOf(d.stage.Kept, s, name); ok {
				drop = append(drop, keepBefore(s, name))
			}
		}
		if len(drop) > 0 {
			d.step(stepRemember, understudy.Idempotent, "", rememberArgs{Drop: drop}, "forget what %d topics had on %s before they were copies", len(drop), s).ID += "/" + string(s)
		}
	}
	return nil
}

// reprotect brings the old primary back as the secondary. In its stages Old is the source of the link, the
// site that is active now, and To the old primary.
func (d *decision) reprotect() error {
	switch d.stage.Name {
	case understudy.StageCheck:
		if _, err := d.present(d.stage.Old); err != nil {
			return err
		}
		if _, err := d.present(d.stage.To); err != nil {
			return err
		}
		if err := d.findings(d.stage.Old, d.stage.To); err != nil {
			return err
		}
		d.foretellUnguarded(d.stage.To, "before the link starts")
		return nil
	case understudy.StageFence:
		return d.fence(d.stage.To)
	case understudy.StageScan:
		return d.scan(stepScan)
	case understudy.StageLedger:
		return d.scan(stepLedger)
	case understudy.StageResolve:
		return d.resolve()
	case understudy.StageReverse:
		// Only now, when nothing on it is waiting to be saved or made anew, does the append limit go; first from what
		// was made anew, under watch.
		if err := d.openMade(); err != nil {
			return err
		}
		if err := d.guardOld(d.stage.To); err != nil {
			return err
		}
		return d.standIns(d.stage.Old, d.stage.To)
	}
	return nil
}

func (d *decision) scan(kind understudy.StepKind) error {
	a, err := d.scanned()
	if err != nil {
		return err
	}
	format := "list what %s has that nobody else has"
	if kind == stepLedger {
		format = "save what %s has that nobody else has"
	}
	d.step(kind, understudy.Idempotent, d.stage.To, a, format, d.stage.To)
	return nil
}

// scanned is what a site is compared with that is to be a secondary again: the cut of the takeover that it lost, or,
// where it did not lose the last one, the whole of the source's log.
func (d *decision) scanned() (scanArgs, error) {
	old, err := d.present(d.stage.To)
	if err != nil {
		return scanArgs{}, err
	}
	pid, err := d.pid(d.stage.Old, d.stage.To)
	if err != nil {
		return scanArgs{}, err
	}
	a := scanArgs{
		linkArgs: linkArgs{base: d.at(d.stage.To), From: d.stage.Old, To: d.stage.To, Topics: old.names()},
		PID:      pid, Whole: true,
	}
	if cut, ok := cutOf(d.stage.Kept); ok && cut.From == d.stage.To && cut.To == d.stage.Old {
		a.Cut, a.Whole, a.Made = cut, false, madeOf(d.stage.Kept, d.stage.To, old.names(), cut.Epoch)
	}
	return a, nil
}

// of gives what is needed to compare one topic.
func (a scanArgs) of(topic string) scanArgs {
	a.Topics = []string{topic}
	at := a.Cut.Offsets
	a.Cut.Offsets = Vector{}
	if list, known := at[topic]; known {
		a.Cut.Offsets[topic] = list
	}
	return a
}

// resolve makes anew the topics of the old primary that diverged; the others are left as they are.
func (d *decision) resolve() error {
	source, err := d.present(d.stage.Old)
	if err != nil {
		return err
	}
	old, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	r, ok := d.stage.Receipt(stepLedger)
	if !ok {
		d.atMost(source, old) // a dry run: what diverged is known only then
		return nil
	}
	det, _ := detail[scanDetail](r)
	diverged := det.topics()
	scan, err := d.scanned()
	if err != nil {
		return err
	}
	if err := d.room(source, old, diverged); err != nil {
		return err
	}
	d.copyRules(source, old, diverged)
	for _, name := range diverged {
		if old.Topics[name] != nil {
			d.remake(d.stage.To, source, old, name, &ledgered{Scan: scan.of(name), ID: det.IDs[name], Ranges: det.of(name)})
		}
	}
	return nil
}

// atMost says in a dry run how much may have to be copied again: all that the source has of the topics that are there, since
// any of them may turn out to have diverged.
func (d *decision) atMost(source, old *SiteFacts) {
	var topics int
	var bytes int64
	for _, name := range old.names() {
		if t := source.Topics[name]; t != nil {
			topics++
			bytes += t.Bytes
		}
	}
	free := "an unknown number is free there"
	if old.Usable >= 0 {
		free = fmt.Sprintf("%d are free there", old.Usable)
	}
	note := fmt.Sprintf("delete on %s the topics that diverged and make them anew: at most %d topics, %d bytes to be copied again; %s", d.stage.To, topics, bytes, free)
	d.step(stepRemember, understudy.Idempotent, "", rememberArgs{Notes: []string{note}}, "%s", note).ID = "foretell/" + string(d.stage.To)
}

// openMade opens the topics that this operation made anew under the append limit, and has them watched before the
// link starts. Where the link wrote already, nothing is made anew again.
func (d *decision) openMade() error {
	r, ok := d.stage.Receipt(stepLedger)
	if !ok {
		return nil
	}
	old, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	pid, err := d.pid(d.stage.Old, d.stage.To)
	if err != nil {
		return err
	}
	det, _ := detail[scanDetail](r)
	a := openMadeArgs{base: d.at(d.stage.To)}
	for _, name := range det.topics() {
		t := old.Topics[name]
		if _, limited := fenceOf(d.stage.Kept, d.stage.To).Limits[name]; !limited || t == nil || t.written(pid) {
			continue
		}
		again, _ := d.remakeArgs(d.stage.To, d.facts.Sites[d.stage.Old], old, name)
		again.OldID = "" // whatever is there now was made in this operation, or by somebody since
		a.Topics = append(a.Topics, again)
	}
	if len(a.Topics) > 0 {
		step := d.step(stepOpenMade, understudy.ProbeFirst, d.stage.To, a, "open the %d topics made anew on %s, and see that nobody writes them", len(a.Topics), d.stage.To)
		step.Late, step.Timeout = true, 5*time.Minute
	}
	return nil
}

// written says whether a producer has written any of the topic's partitions, as far as their leaders remember.
func (t *TopicFacts) written(pid int64) bool {
	return slices.ContainsFunc(t.Partitions, func(p PartitionFacts) bool { _, ok := p.Epochs[pid]; return ok })
}

// room refuses when the copies would not fit onto the brokers' disks.
func (d *decision) room(source, old *SiteFacts, topics []string) error {
	var need, freed int64
	for _, name := range topics {
		if t := source.Topics[name]; t != nil {
			need += t.Bytes
		}
		if t := old.Topics[name]; t != nil {
			freed += t.Bytes
		}
	}
	if old.Usable < 0 || need <= old.Usable+freed {
		return nil
	}
	return &understudy.Error{
		Code: "US127", Kind: understudy.KindRefused, Op: "kafka.resolve", Object: d.w.object(d.stage.To, ""),
		Summary: fmt.Sprintf("%d bytes of %s must be copied again, but only %d are free", need, strings.Join(topics, ", "), old.Usable+freed),
		Fix:     "add disk space on the old primary, and retry",
	}
}

// remake adds the step that deletes a topic and makes it anew as the source has it. What the ledger saved of it is
// checked again before it is deleted; nil where nothing of it was ever anybody's only copy.
func (d *decision) remake(at understudy.Site, source, there *SiteFacts, name string, saved *ledgered) {
	a, in := d.remakeArgs(at, source, there, name)
	a.Ledgered = saved
	if saved != nil && saved.ID != "" {
		a.OldID = saved.ID
	}
	d.remember(map[string]any{
		topicconf.KeepIntended(name):         in,
		topicconf.KeepOurs(name, string(at)): topicconf.Set(topicconf.Mirroring(in), in),
	})
	s := d.step(stepRemake, understudy.ProbeFirst, at, a, "delete %s on %s and make it anew; %d bytes will be copied again", name, at, a.Need)
	s.ID += "/" + name
	s.Late = true
}

// remakeArgs says what a topic is to be when it is made anew.
func (d *decision) remakeArgs(at understudy.Site, source, there *SiteFacts, name string) (remakeArgs, topicconf.Intended) {
	in, ok := intendedOf(d.stage.Kept, name)
	if source != nil && source.Topics[name] != nil {
		in, ok = d.intended(source, name, d.stage.Old), true
	}
	if !ok {
		in = d.intended(there, name, at)
	}
	a := remakeArgs{base: d.at(at), Topic: d.newTopic(in, there), OldID: there.Topics[name].ID, Intended: in}
	a.PID, _ = d.pid(d.stage.Old, at)
	if source != nil && source.Topics[name] != nil {
		a.Need = source.Topics[name].Bytes
	}
	// Where the append limit fences, the new topic is born closed: a producer that retries cannot take its first
	// offset. It is opened right before the link starts.
	if _, limited := fenceOf(d.stage.Kept, at).Limits[name]; limited {
		a.Topic.Configs[topicconf.AppendLimit] = topicconf.NoBatch
	}
	return a, in
}

// unprotect lets go: the guard of the secondaries falls, settings are as intended, stamps are cleared.
func (d *decision) unprotect() error {
	switch d.stage.Name {
	case understudy.StageCheck, understudy.StageProvision, understudy.StageHalt:
		return d.allLetGo()
	case understudy.StageUnguard:
		if err := d.allLetGo(); err != nil {
			return err
		}
		for _, s := range d.w.siteNames() {
			if d.facts.Sites[s] != nil {
				d.liftFence(s, "let ordinary writers write on %s", true)
			}
		}
	case understudy.StageRelease:
		return d.release()
	}
	return nil
}

// allLetGo refuses while a site does not answer at which something of ours stands, unless a person lets it go. The
// way back of a protect must end without it: then what stands there stays in the memory.
func (d *decision) allLetGo() error {
	if d.stage.Verb == understudy.Abort {
		return nil
	}
	for _, s := range d.w.siteNames() {
		if _, accepted := d.stage.Envelope.Accepted(s); d.facts.Sites[s] != nil || clusterOf(d.stage.Kept, s) == "" || accepted {
			continue
		}
		e := &understudy.Error{
			Code: "US132", Kind: understudy.KindUnreachable, Op: "kafka.unprotect", Object: d.w.object(s, ""),
			Summary: fmt.Sprintf("%s does not answer%s; there stay %s", s, d.refusal(s), d.leftAt(s)),
			Why:     "once the workload's memory is dropped, nobody knows any more what to take back there",
			Fix: fmt.Sprintf("bring it back and `understudy retry %[2]s`; if it is lost for good, `understudy abort %[2]s` and `understudy unprotect %[3]s --let-go %[1]s --as NAME`",
				s, d.stage.Operation, d.stage.Plan),
		}
		if d.seen.Sites[s].Error != nil {
			e.Err = d.seen.Sites[s].Error
		}
		return e
	}
	return nil
}

// refusal says why a site that is there gives no answer to us; nothing where it is silent.
func (d *decision) refusal(s understudy.Site) string {
	if e := d.seen.Sites[s].Error; e != nil && e.Kind == understudy.KindDenied {
		return " us: " + e.Summary
	}
	return ""
}

// leftAt says what of ours stands at a site, as far as the memory tells.
func (d *decision) leftAt(s understudy.Site) string {
	mem := fenceOf(d.stage.Kept, s)
	set := 0
	for name := range d.stage.Kept {
		if strings.HasPrefix(name, "topic/") && strings.HasSuffix(name, "/ours/"+string(s)) {
			set++
		}
	}
	return fmt.Sprintf("%d DENY rules, %d append limits, stand-in settings on %d topics, and the stamp in %s",
		len(mem.Denies), len(mem.Limits), set, cluster.OwnTopic)
}

func (d *decision) release() error {
	if err := d.allLetGo(); err != nil {
		return err
	}
	var drop, notes []string
	for name := range d.stage.Kept {
		if !d.owed(name) {
			drop = append(drop, name)
		}
	}
	slices.Sort(drop)
	for _, s := range d.w.siteNames() {
		f := d.facts.Sites[s]
		if f == nil {
			if clusterOf(d.stage.Kept, s) != "" {
				notes = append(notes, fmt.Sprintf("%s did not answer%s: there stay %s", s, d.refusal(s), d.leftAt(s)))
			}
			continue
		}
		a := d.configArgs(s, f)
		a.Before = map[string]beforeMemory{}
		for name := range a.Topics {
			if before, ok := beforeOf(d.stage.Kept, s, name); ok {
				a.Before[name] = before
			}
		}
		d.step(stepRestore, understudy.Idempotent, s, a, "restore all settings of %d topics on %s", len(a.Topics), s).Late = true
		if f.OwnTopic {
			d.step(stepUnstamp, understudy.Idempotent, s, d.at(s), "clear the stamp on %s", s)
		}
	}
	d.step(stepRemember, understudy.Idempotent, "", rememberArgs{Drop: drop, Notes: notes}, "forget the workload's memory").ID = "forget"
	return nil
}

// owed says whether a name of the memory is still needed for a site that does not answer and was not let go.
func (d *decision) owed(name string) bool {
	for _, s := range d.w.siteNames() {
		if _, accepted := d.stage.Envelope.Accepted(s); d.facts.Sites[s] != nil || clusterOf(d.stage.Kept, s) == "" || accepted {
			continue
		}
		if name == keepFence(s) || name == keepCluster(s) || strings.HasPrefix(name, "topic/") || strings.HasPrefix(name, keepBefore(s, "")) {
			return true
		}
	}
	return false
}

// duty fences an old primary at first contact.
func (d *decision) duty() error {
	if d.stage.Name != understudy.StageFence {
		return nil
	}
	return d.fence(d.stage.Old)
}

// topics lists the topics of which the scan found a divergent range, in order.
func (s scanDetail) topics() []string {
	var out []string
	for _, r := range s.Ranges {
		if r.End > r.Start && !slices.Contains(out, r.Topic) {
			out = append(out, r.Topic)
		}
	}
	slices.Sort(out)
	return out
}

// of gives the ranges of one topic.
func (s scanDetail) of(topic string) []divergedRange {
	return slices.DeleteFunc(slices.Clone(s.Ranges), func(r divergedRange) bool { return r.Topic != topic })
}

// divergedRange is a range of offsets of the old primary that the new one does not have.
type divergedRange struct {
	cluster.TP
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	// Gone counts the offsets after the cut that are no longer in the log.
	Gone int64 `json:"gone,omitempty"`
}

// scanDetail is what the scan and the ledger leave behind.
type scanDetail struct {
	Ranges []divergedRange `json:"ranges"`
	// IDs gives, in hex, the id of each topic that has a range: what is there later under the name is another one.
	IDs map[string]string `json:"ids,omitempty"`
}
