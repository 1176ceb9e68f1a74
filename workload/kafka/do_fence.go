package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// probeSize is larger than one marker, so that a limit of one marker refuses the probe too.
	probeSize = 256
	// probeParallel bounds the probes in flight.
	probeParallel = 16
	// settle is how long a refused or open answer may take to reach every leader.
	settle = 15 * time.Second
	// hastyPatience is how long a failover and a standing duty let open transactions end before they go on without.
	hastyPatience = 10 * time.Second
	// fenceValid is how long a fence may be relied on without looking again.
	fenceValid = 5 * time.Minute
)

// addDenials denies writers, by rules of their own. A rule that is there already stays, so running it twice
// changes nothing. Topics that appeared since the step was decided are left alone, and the stage is planned anew:
// whether a rule on them is ours must be known before it is made.
func addDenials(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[denyArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if p := j.site.endpoint.principal(); slices.ContainsFunc(a.Rules, func(r cluster.ACL) bool { return r.Principal == p || r.Principal == everyone }) {
		return understudy.Receipt{}, bug("kafka.deny", "a rule would deny the mover itself")
	}
	if err := j.site.admin.CreateACLs(ctx, j.run.Lease, a.Rules); err != nil {
		return understudy.Receipt{}, err
	}
	topics, _, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return understudy.Receipt{}, j.known(a.Topics, topics)
}

// known refuses when there are topics that were not there when the step was decided.
func (j *job) known(decided, now []string) error {
	var late []string
	for _, t := range now {
		if !slices.Contains(decided, t) {
			late = append(late, t)
		}
	}
	if len(late) == 0 {
		return nil
	}
	err := understudy.AsError(changed(j, nil))
	err.Object.Shard, err.Summary = late[0], fmt.Sprintf("%d topics appeared meanwhile: %s", len(late), strings.Join(late, ", "))
	return err
}

// removeDenials removes exactly the rules that understudy added. Rules that are gone stay gone.
func removeDenials(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[denyArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if err := j.still(ctx); err != nil {
		return understudy.Receipt{}, err
	}
	if err := j.site.admin.DeleteACLs(ctx, j.run.Lease, a.Rules); err != nil {
		return understudy.Receipt{}, err
	}
	return understudy.Receipt{Keep: j.keepFence(a.Forget)}, nil
}

func (j *job) keepFence(left *fenceMemory) understudy.Keep {
	k := understudy.Keep{keepFence(j.step.Site): nil}
	if left != nil && (len(left.Denies) > 0 || len(left.Limits) > 0) {
		k[keepFence(j.step.Site)] = topicconf.Encode(left)
	}
	return k
}

// probing sends the harmless write probe to a partition's leader and gives its answer: nothing is ever written, because the
// batch's checksum is wrong, and rights and limits are checked before it.
type probing func(ctx context.Context, lease understudy.Lease, as *cluster.Cluster, p cluster.Partition) (cluster.Produced, error)

// large is refused behind an append limit of one marker as well. It asks as a writer does who is content with the leader:
// who wants all replicas may be refused for the lack of them, while this one still gets in.
func large(ctx context.Context, lease understudy.Lease, as *cluster.Cluster, p cluster.Partition) (cluster.Produced, error) {
	return as.ProduceToLeader(ctx, lease, p, batch.Probe(probeSize, time.Now().UnixMilli()))
}

// small is refused behind an append limit of nothing only.
func small(ctx context.Context, lease understudy.Lease, as *cluster.Cluster, p cluster.Partition) (cluster.Produced, error) {
	return as.ProduceToLeader(ctx, lease, p, batch.SmallProbe(time.Now().UnixMilli()))
}

// acknowledged asks as a writer does who wants all replicas to have a record.
func acknowledged(ctx context.Context, lease understudy.Lease, as *cluster.Cluster, p cluster.Partition) (cluster.Produced, error) {
	return as.Produce(ctx, lease, p, batch.Probe(probeSize, time.Now().UnixMilli()))
}

// probeAll sends the probe to every partition's leader and gives the answers.
func (j *job) probeAll(ctx context.Context, as *cluster.Cluster, parts []cluster.Partition, with probing) (map[cluster.TP]int16, error) {
	if _, err := as.Metadata(ctx, j.run.Lease); err != nil { // a fresh client must know its brokers
		return nil, err
	}
	out := map[cluster.TP]int16{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probeParallel)
	for _, p := range parts {
		g.Go(func() error {
			a, err := with(ctx, j.run.Lease, as, p)
			mu.Lock()
			defer mu.Unlock()
			out[p.TP] = a.Code
			return err
		})
	}
	return out, g.Wait()
}

func isClosed(code int16) bool {
	return code == cluster.CodeMessageTooLarge || code == cluster.CodeTopicDenied
}

func isOpen(code int16) bool { return code == cluster.CodeCorruptMessage }

// awaitRefused waits until the probe is refused on every partition.
func (j *job) awaitRefused(ctx context.Context, as *cluster.Cluster, parts []cluster.Partition, with probing) error {
	return j.awaitAnswers(ctx, as, parts, with, isClosed, "US112", "writes are not refused there")
}

// awaitAnswers probes until every partition gives a wanted answer, for as long as a change may take to reach
// every leader.
func (j *job) awaitAnswers(ctx context.Context, as *cluster.Cluster, parts []cluster.Partition, with probing, want func(int16) bool, code understudy.Code, summary string) error {
	for until := time.Now().Add(settle); ; {
		answers, err := j.probeAll(ctx, as, parts, with)
		if err != nil {
			return err
		}
		parts = slices.DeleteFunc(slices.Clone(parts), func(p cluster.Partition) bool { return want(answers[p.TP]) })
		if len(parts) == 0 {
			return nil
		}
		if time.Now().After(until) {
			return &understudy.Error{
				Code: code, Kind: understudy.KindRefused, Op: "kafka.probe", Object: j.object(parts[0].TP.String()),
				Summary: fmt.Sprintf("%s, on %d partitions", summary, len(parts)),
				Why:     fmt.Sprintf("the harmless write probe was answered with code %d", answers[parts[0].TP]),
				Fix:     "retry; if it stays, look at the ACLs and max.message.bytes of the topic",
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		if parts, err = j.ledNow(ctx, parts); err != nil {
			return err
		}
	}
}

// ledNow gives the same partitions with the leaders they have now. One that vanished stays as it was.
func (j *job) ledNow(ctx context.Context, parts []cluster.Partition) ([]cluster.Partition, error) {
	_, fresh, err := j.matched(ctx, j.site)
	if err != nil {
		return nil, err
	}
	now := map[cluster.TP]cluster.Partition{}
	for _, p := range fresh {
		now[p.TP] = p
	}
	out := slices.Clone(parts)
	for i, p := range out {
		if led, ok := now[p.TP]; ok {
			out[i] = led
		}
	}
	return out, nil
}

// fencedDetail is what a proof of the fence leaves behind.
type fencedDetail struct {
	// Ends are the log ends of the fenced site, re-read after the refused probes.
	Ends Vector `json:"ends"`
}

// proveFence shows on every partition's leader that an ordinary writer is refused, that replicas have all it holds, that no
// transaction is open, and where the log ends since. A hasty one says what it does not wait for. It changes nothing. Topics are
// listed again at its end: one that appeared meanwhile is not proven.
func proveFence(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[fencedArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	topics, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if err := j.unchanged(a.Topics, topics); err != nil {
		return understudy.Receipt{}, err
	}
	as, name := j.prober(a.Level)
	ahead, err := j.awaitFenced(ctx, as, parts, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	// The proof is dated after the last refusal: what could be lost grows until then.
	proof := j.proof(understudy.ProofFence, fenceValid)
	proof.Level = a.Level
	if as == nil {
		proof.Missing = []string{"an ordinary writer's credentials (kafka.writer in the site file)"}
		proof.Means = "the rules are in place, but nobody tried"
	} else {
		proof.Complete = true
		proof.Means = fmt.Sprintf("harmless write probe as %s refused on %d of %d partitions", name, len(parts), len(parts))
	}
	open, err := j.awaitStable(ctx, parts, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	e, err := j.ends(ctx, j.site, parts)
	if err != nil {
		return understudy.Receipt{}, err
	}
	again, after, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if err := j.unchanged(topics, again); err != nil || len(after) != len(parts) {
		return understudy.Receipt{}, changed(j, err)
	}
	proof.CouldPass, err = j.couldPass(ctx, a.Level)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Summary: proof.Means, Proofs: []understudy.Proof{proof}}
	for _, w := range append([]string{ahead, open}, j.activeGroups(ctx)...) {
		if w != "" {
			r.Warnings = append(r.Warnings, w)
		}
	}
	return detailed(r, fencedDetail{vector(e.end)}), nil
}

// awaitFenced waits until the probe is refused on every partition and replicas have all that the leaders hold, and gives what
// there is to say where they do not. Without a writer nothing is probed.
func (j *job) awaitFenced(ctx context.Context, as *cluster.Cluster, parts []cluster.Partition, a fencedArgs) (warning string, err error) {
	if as == nil {
		return j.awaitReplicated(ctx, j.site, a.Hasty, a.Patience)
	}
	// A leader that has not heard of a limit of nothing yet would still take a record smaller than a marker.
	if err := j.awaitRefused(ctx, as, parts, small); err != nil {
		return "", err
	}
	warning, err = j.awaitReplicated(ctx, j.site, a.Hasty, a.Patience)
	if err != nil {
		return "", err
	}
	// Leaders may have moved meanwhile, to brokers that were not asked.
	if parts, err = j.ledNow(ctx, parts); err != nil {
		return "", err
	}
	return warning, j.awaitRefused(ctx, as, parts, small)
}

// activeGroups names the workload's groups that still have members, as far as the brokers tell.
func (j *job) activeGroups(ctx context.Context) []string {
	groups, err := j.site.admin.ListGroups(ctx, j.run.Lease)
	if err != nil {
		return nil
	}
	var out []string
	for _, g := range groups {
		if j.w.match.group(g.Name) && !g.Idle() && g.State != "" {
			out = append(out, fmt.Sprintf("group %s is still active on %s", g.Name, j.step.Site))
		}
	}
	return out
}

// unchanged refuses when topics appeared or vanished.
func (j *job) unchanged(before, now []string) error {
	if slices.Equal(before, now) {
		return nil
	}
	return changed(j, nil)
}

func changed(j *job, err error) error {
	if err != nil {
		return err
	}
	return &understudy.Error{
		Code: "US118", Kind: understudy.KindConflict, Op: "kafka." + string(j.step.Kind), Object: j.object(""),
		Summary: "topics or partitions appeared or vanished meanwhile", Fix: "retry: the step is planned anew",
	}
}

// prober gives the client that stands for an ordinary writer, and its name. An append limit binds everyone, so
// our own client proves it as well as another; a denial is proven by a writer's credentials only.
func (j *job) prober(level understudy.FenceLevel) (*cluster.Cluster, string) {
	if j.site.writer != nil {
		name := j.site.endpoint.writerPrincipal()
		if name == "" {
			name = "the site's ordinary writer"
		}
		return j.site.writer, name
	}
	if level == understudy.F3 {
		return j.site.admin, "understudy (an append limit binds everyone)"
	}
	return nil, ""
}

// couldPass names those whom a fence by ACLs does not stop.
func (j *job) couldPass(ctx context.Context, level understudy.FenceLevel) ([]string, error) {
	if level == understudy.F3 {
		return nil, nil
	}
	if names := j.site.endpoint.SuperUsers; len(names) > 0 {
		return slices.Clone(names), nil
	}
	md, err := j.metadata(ctx, j.site)
	if err != nil {
		return nil, err
	}
	unknown := []string{"the authorizer's super users (brokers do not tell their names; list them as kafka.superUsers in the site file)"}
	for id := range md.Brokers {
		conf, err := j.site.admin.DescribeBrokerConfigs(ctx, j.run.Lease, id)
		if err != nil {
			return unknown, nil
		}
		out := strings.FieldsFunc(conf["super.users"].Value, func(r rune) bool { return r == ';' })
		if len(out) == 0 {
			return unknown, nil
		}
		slices.Sort(out)
		return slices.Compact(out), nil
	}
	return unknown, nil
}
