package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// remakeTries is how often a topic is made anew before a person must stop whoever takes it.
	remakeTries = 3
	// quietFor is how long nobody may write into an opened topic before the link starts: longer than ordinary
	// producers wait between two tries (retry.backoff.max.ms, one second by default).
	quietFor = 1500 * time.Millisecond
)

// remakeTopic deletes a topic and makes it anew, empty. It tells the old one by its id, so that a second run
// goes on where the first stopped. A producer that still retries may make the topic again in between: then what it
// wrote is saved and the topic deleted again, and after three tries a person must stop the producer.
func remakeTopic(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[remakeArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	id, err := j.remake(ctx, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return j.remade(map[string]string{a.Topic.Name: id})
}

// remade writes the receipt for topics that were made anew, by name, with their ids.
func (j *job) remade(ids map[string]string) (understudy.Receipt, error) {
	r := understudy.Receipt{Keep: understudy.Keep{}}
	for name, id := range ids {
		r.Keep[keepBroken(name)] = nil
		r.Keep[keepMade(j.step.Site, name)] = topicconf.Encode(madeMemory{ID: id, Epoch: j.run.Now.Epoch})
	}
	saved, err := j.rescued()
	if err != nil {
		return r, err
	}
	for _, e := range saved {
		topic := e.Shard[:max(strings.LastIndexByte(e.Shard, '-'), 0)]
		if _, made := ids[topic]; made {
			r.Ledger = append(r.Ledger, e)
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d records were written while the topic was made anew; they are in the ledger", e.Shard, e.Records))
		}
	}
	return r, nil
}

// remake brings the new topic about, and gives its id.
func (j *job) remake(ctx context.Context, a remakeArgs) (string, error) {
	old := a.OldID
	id, _, err := j.isRemade(ctx, a)
	for range remakeTries {
		if err != nil || id != "" {
			return id, err
		}
		if err := j.still(ctx); err != nil {
			return "", err
		}
		if a.OldID, err = j.secure(ctx, a, old); err != nil {
			return "", err
		}
		if err := j.site.admin.DeleteTopic(ctx, j.run.Lease, a.Topic.Name); err != nil {
			return "", err
		}
		if err := j.createWhenGone(ctx, a); err != nil {
			return "", err
		}
		id, err = j.awaitRemade(ctx, a)
	}
	if err == nil && id == "" {
		err = j.taken(a.Topic.Name)
	}
	return id, err
}

// awaitRemade waits until brokers list the topic that was made; their metadata follows the controller's. It gives no
// id when they list one that is not as wanted.
func (j *job) awaitRemade(ctx context.Context, a remakeArgs) (string, error) {
	for range 100 {
		id, listed, err := j.isRemade(ctx, a)
		if err != nil || listed {
			return id, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", j.site.admin.Refused("kafka.metadata", a.Topic.Name, 5, "")
}

func (j *job) taken(topic string) error {
	return &understudy.Error{
		Code: "US128", Kind: understudy.KindRefused, Op: "kafka.resolve", Object: j.object(topic),
		Summary: "somebody makes the topic again, or writes it, as soon as it is made anew",
		Why:     "a producer still retries against this cluster, and auto.create.topics.enable may be on; what it wrote is saved before it is deleted",
		Fix:     "stop the producers that still use this cluster, or set auto.create.topics.enable=false there, and retry",
	}
}

// secure makes sure that nothing is lost with the topic of that name which is there now, and gives its id. Of the
// old one the ledger must hold everything; what stands in any later one was written by a producer that retries, and
// is saved first.
func (j *job) secure(ctx context.Context, a remakeArgs, old string) (string, error) {
	md, err := j.site.admin.Metadata(ctx, j.run.Lease, a.Topic.Name)
	if err != nil {
		return "", err
	}
	t, ok := md.Topics[a.Topic.Name]
	switch {
	case !ok:
		return a.OldID, nil
	case topicID(t) == old:
		return old, j.covered(ctx, a)
	case topicID(t) == a.OldID: // saved already; its deletion takes a moment
		return a.OldID, nil
	}
	return topicID(t), j.rescue(ctx, a)
}

// covered refuses to delete the old topic when its log holds more than the ledger saved: a fence may have lapsed,
// and super users pass it.
func (j *job) covered(ctx context.Context, a remakeArgs) error {
	if a.Ledgered == nil {
		return nil
	}
	now, err := j.diverged(ctx, a.Ledgered.Scan, a.Topic.Name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(now, func(r reach) bool { return !r.within(a.Ledgered.Ranges) }) {
		return nil
	}
	return &understudy.Error{
		Code: "US129", Kind: understudy.KindRefused, Op: "kafka.resolve", Object: j.object(a.Topic.Name),
		Summary: "the old topic holds more than the ledger saved",
		Why:     "somebody wrote there since, in spite of the fence; deleting it would lose those records",
		Fix:     "stop the writer, abort this operation and reprotect again",
	}
}

// rescue closes a topic that somebody else made or wrote, and adds what stands there to the ledger.
func (j *job) rescue(ctx context.Context, a remakeArgs) error {
	t, err := j.awaitTopic(ctx, a.Topic.Name, 1)
	if err != nil {
		return err
	}
	if err := j.limit(ctx, t.Name, topicconf.NoBatch); err != nil {
		return err
	}
	if err := j.awaitRefused(ctx, j.site.admin, t.Partitions, small); err != nil {
		return err
	}
	l, err := j.limits(ctx, j.site, []string{t.Name})
	if err != nil {
		return err
	}
	coder, err := batch.NewCoder(decodedMax)
	if err != nil {
		return bug("kafka.resolve", err.Error())
	}
	var saved []understudy.LedgerEntry
	for _, p := range l.parts {
		at := &look{job: j, part: p, pid: a.PID, start: l.start[p.TP], end: l.end[p.TP], pure: true, coder: coder}
		f, err := at.walk(ctx, true)
		if err != nil {
			return err
		}
		for _, d := range at.reaches(f) {
			e, err := j.save(ctx, d, rescuedFile(d.TP, d.Start, topicID(t)))
			if err != nil {
				return err
			}
			saved = append(saved, e)
		}
	}
	return j.addToManifest(saved)
}

// rescuedFile names the file of a range of a topic that somebody else made or wrote meanwhile.
func rescuedFile(tp cluster.TP, start int64, id string) string {
	return fmt.Sprintf("%s.%020d.%s.rescued.batches", tp, start, id)
}

func isRescued(file string) bool { return strings.HasSuffix(file, ".rescued.batches") }

// rescued lists what was saved while topics were made anew. The manifest, which has an entry for every divergent
// partition, is read only when there is any: this is asked for every topic.
func (j *job) rescued() ([]understudy.LedgerEntry, error) {
	files, err := os.ReadDir(j.run.LedgerDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, j.ledgerError("", err)
	}
	if !slices.ContainsFunc(files, func(f os.DirEntry) bool { return isRescued(f.Name()) }) {
		return nil, nil
	}
	all, err := readManifest(j.run.LedgerDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, damaged(manifestName, err)
	}
	return slices.DeleteFunc(all, func(e understudy.LedgerEntry) bool { return !isRescued(e.File) }), nil
}

func (j *job) addToManifest(saved []understudy.LedgerEntry) error {
	all, err := readManifest(j.run.LedgerDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return damaged(manifestName, err)
	}
	for _, e := range saved {
		all = slices.DeleteFunc(all, func(o understudy.LedgerEntry) bool { return o.File == e.File })
		all = append(all, e)
	}
	if err := writeManifest(j.run.LedgerDir, all); err != nil {
		return j.ledgerError("", err)
	}
	return nil
}

func (j *job) limit(ctx context.Context, topic, value string) error {
	return j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, topic, map[string]*string{topicconf.AppendLimit: &value})
}

// isRemade gives the new topic's id when it is there as wanted: another id than the old one's, the wanted partitions
// and settings, no record. It also says whether another topic than the old one is listed at all.
func (j *job) isRemade(ctx context.Context, a remakeArgs) (id string, listed bool, err error) {
	md, err := j.site.admin.Metadata(ctx, j.run.Lease, a.Topic.Name)
	if err != nil {
		return "", false, err
	}
	t, ok := md.Topics[a.Topic.Name]
	if !ok || topicID(t) == a.OldID {
		return "", false, nil
	}
	if len(t.Partitions) != int(a.Topic.Partitions) {
		return "", true, nil
	}
	if t, err = j.awaitTopic(ctx, a.Topic.Name, int(a.Topic.Partitions)); err != nil {
		return "", true, err
	}
	written, err := j.written(ctx, t)
	if understudy.KindOf(err) == understudy.KindNotFound {
		return "", false, nil // a broker that is behind still listed one that is gone
	}
	if err != nil || written {
		return "", true, err
	}
	have, err := j.site.admin.DescribeNewTopicConfigs(ctx, j.run.Lease, t.Name)
	if err != nil {
		return "", true, err
	}
	want := topicconf.Mirroring(a.Intended)
	if limit := a.Topic.Configs[topicconf.AppendLimit]; topicconf.IsFence(limit) {
		want[topicconf.AppendLimit] = limit
	}
	return topicID(t), true, j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, t.Name, topicconf.Change(want, have, t.Replication()))
}

// written says whether anything was ever appended to a topic.
func (j *job) written(ctx context.Context, t cluster.Topic) (bool, error) {
	ends, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.End, t.Partitions)
	if err != nil {
		return false, err
	}
	for _, end := range ends {
		if end > 0 {
			return true, nil
		}
	}
	return false, nil
}

// createWhenGone makes a topic as soon as the deletion of its namesake lets it.
func (j *job) createWhenGone(ctx context.Context, a remakeArgs) error {
	for range 50 {
		created, err := j.site.admin.CreateTopic(ctx, j.run.Lease, a.Topic)
		if err != nil || created {
			return err
		}
		md, err := j.site.admin.Metadata(ctx, j.run.Lease, a.Topic.Name)
		if err != nil {
			return err
		}
		if t, there := md.Topics[a.Topic.Name]; there && topicID(t) != a.OldID {
			return nil // somebody was faster; the caller looks at what they made
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// openMade opens the topics that were made anew under the append limit, and watches them for as long as a producer
// that retries may wait. One that is written meanwhile is closed and made anew once more, and after three tries a
// person must stop the producer; until then it stays closed. So the link starts on topics that nobody wants to
// write. It looks first whether a topic is as it should be, so that a second run goes on where the first stopped.
func openMade(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[openMadeArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	ids := map[string]string{}
	var taken []string
	for range remakeTries {
		for _, t := range a.Topics {
			if ids[t.Topic.Name], err = j.remake(ctx, t); err != nil {
				return understudy.Receipt{}, err
			}
		}
		if err := j.openAll(ctx, a.Topics); err != nil {
			return understudy.Receipt{}, err
		}
		if taken, err = j.watch(ctx, a.Topics); err != nil {
			return understudy.Receipt{}, err
		}
		for _, name := range taken {
			if err := j.limit(ctx, name, topicconf.NoBatch); err != nil {
				return understudy.Receipt{}, err
			}
		}
		if len(taken) == 0 {
			return j.remade(ids)
		}
	}
	return understudy.Receipt{}, j.taken(strings.Join(taken, ", "))
}

type openMadeArgs struct {
	base
	Topics []remakeArgs `json:"topics"`
}

func (j *job) openAll(ctx context.Context, topics []remakeArgs) error {
	for _, t := range topics {
		if err := j.still(ctx); err != nil {
			return err
		}
		if err := j.limit(ctx, t.Topic.Name, topicconf.Mirroring(t.Intended)[topicconf.AppendLimit]); err != nil {
			return err
		}
	}
	return nil
}

// watch gives the topics into which somebody writes, as soon as there is one; none after a quiet time.
func (j *job) watch(ctx context.Context, topics []remakeArgs) ([]string, error) {
	var names []string
	for _, t := range topics {
		names = append(names, t.Topic.Name)
	}
	for until := time.Now().Add(quietFor); ; {
		quiet := time.Now().After(until)
		md, err := j.site.admin.Metadata(ctx, j.run.Lease, names...)
		if err != nil {
			return nil, err
		}
		var taken []string
		for _, name := range names {
			written, err := j.written(ctx, md.Topics[name])
			if err != nil {
				return nil, err
			}
			if written {
				taken = append(taken, name)
			}
		}
		if len(taken) > 0 || quiet {
			return taken, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
