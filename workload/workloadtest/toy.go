// Package workloadtest is the conformance suite for kinds of workloads, and a toy kind that control's tests and the
// suite's own run on. It must not know any real engine: a kind supplies its clusters through Harness.
package workloadtest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// ToyName is the name of the toy kind.
const ToyName understudy.KindName = "toy"

// ToyConfig is the toy's part of a plan.
type ToyConfig struct {
	// Note is for tests of files.
	Note string `yaml:"note,omitempty" doc:"a word for tests"`
}

// ToyEndpoint is the toy's part of a site.
type ToyEndpoint struct {
	Name string `yaml:"name" doc:"the server's name"`
}

// Toy is a kind whose engine is the world.
func Toy(w *World) workload.Kind {
	return workload.Kind{
		Name: ToyName, Doc: "A toy engine in memory, for tests.",
		Offers: []workload.Offer{{
			Architecture: understudy.ActivePassive, Engines: []understudy.Engine{understudy.Native}, Doc: "One site takes writes; the other follows.",
		}, {
			Architecture: understudy.StandbySecondary, Engines: []understudy.Engine{understudy.Native}, Doc: "One site takes writes; runs copy to the other.", Scheduled: true,
		}, {
			Architecture: understudy.OnDemandSecondary, Engines: []understudy.Engine{understudy.Native}, Doc: "The same, and the other exists while it is needed.", Scheduled: true,
		}},
		Endpoint: "toy", NewEndpoint: func() any { return &ToyEndpoint{} }, NewConfig: func() any { return &ToyConfig{} },
		Validate: func(workload.Spec) []workload.FieldError { return nil },
		Links:    toyLinks,
		Sweeps:   toySweeps,
		Open: func(_ context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
			return &toy{world: w, spec: s, opening: o}, nil
		},
		ExportLedger: exportToyLedger,
	}
}

// ToySpec is a toy workload between two sites.
func ToySpec(plan understudy.PlanName, name understudy.WorkloadName, home, second understudy.Site) workload.Spec {
	return workload.Spec{
		Plan: plan, Name: name, Kind: ToyName, Architecture: understudy.ActivePassive, Engine: understudy.Native,
		Home: home, Sites: []understudy.Site{home, second}, RPO: 30 * time.Second, RTO: time.Minute, Config: &ToyConfig{},
		Clusters: map[understudy.Site]any{home: &ToyEndpoint{Name: string(home)}, second: &ToyEndpoint{Name: string(second)}},
	}
}

// ToyRegistry holds the toy kind alone.
func ToyRegistry(w *World) workload.Registry { return workload.NewRegistry(Toy(w)) }

// ToyPlan is the plan contoso with the workload orders, at home in east, beside west, with objectives for exposure and recovery time.
func ToyPlan(rpo, rto time.Duration) workload.Plan {
	p := workload.Planned{Spec: ToySpec("contoso", "orders", "east", "west"), OnFailure: understudy.Stop}
	p.RPO, p.RTO = rpo, rto
	return workload.Plan{Name: "contoso", Home: "east", Sites: []understudy.Site{"east", "west"}, Workloads: []workload.Planned{p}}
}

func toyLinks(s workload.Spec, r understudy.Role) []understudy.Link {
	var out []understudy.Link
	for _, from := range r.Sources() {
		for _, to := range s.Sites {
			if to != from && !r.IsActive(to) {
				out = append(out, understudy.Link{Plan: s.Plan, Workload: s.Name, From: from, To: to})
			}
		}
	}
	return out
}

// toy is an open toy workload.
type toy struct {
	world   *World
	spec    workload.Spec
	opening workload.Opening
}

var _ workload.Workload = (*toy)(nil)

// toyFacts is what Decide knows beyond the common facts.
type toyFacts struct {
	Limit   map[understudy.Site]string               `json:"limit"`
	Token   map[understudy.Site]understudy.RoleEpoch `json:"token"`
	End     map[understudy.Site]int                  `json:"end"`
	Setting map[understudy.Site]string               `json:"setting"`
	// Proven says that a whole set is staged.
	Proven map[understudy.Site]bool `json:"proven"`
}

// Observe reads both servers.
func (t *toy) Observe(ctx context.Context) (workload.Observation, error) {
	if err := ctx.Err(); err != nil {
		return workload.Observation{}, err
	}
	w, heard := t.world, map[understudy.Site]bool{}
	for _, site := range t.spec.Sites {
		heard[site] = !t.opening.AbsentByPlan(site) && w.hear(ctx, site)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	obs := workload.Observation{
		At: time.Now(), Sites: map[understudy.Site]workload.SiteFacts{}, Stamp: map[understudy.Site]*understudy.Stamp{},
	}
	facts := &toyFacts{
		Limit: map[understudy.Site]string{}, Token: map[understudy.Site]understudy.RoleEpoch{},
		End: map[understudy.Site]int{}, Setting: map[understudy.Site]string{},
		Proven: map[understudy.Site]bool{},
	}
	for _, site := range t.spec.Sites {
		s := w.servers[site]
		if t.opening.AbsentByPlan(site) {
			obs.Sites[site] = workload.SiteFacts{Presence: workload.Absent}
			continue
		}
		if !heard[site] || !s.up {
			obs.Sites[site] = workload.SiteFacts{Presence: workload.Unreachable, Error: unreachable("observe", site)}
			continue
		}
		if s.refusing {
			obs.Sites[site] = workload.SiteFacts{Presence: workload.Present, Error: loginRefused("observe", site), Writable: "unknown"}
			continue
		}
		writable := "open"
		if s.limit == limitClosed {
			writable = "fenced"
		}
		obs.Sites[site] = workload.SiteFacts{Presence: workload.Present, Identity: s.identity, Version: "1", Writable: writable}
		obs.HighestEpoch = max(obs.HighestEpoch, s.token)
		if s.stamp != nil {
			stamp := *s.stamp
			obs.Stamp[site] = &stamp
		}
		facts.Limit[site], facts.Token[site], facts.End[site] = s.limit, s.token, len(s.records)
		facts.Setting[site], facts.Proven[site] = s.settings["retention"], s.proven
	}
	obs.Facts = facts
	return obs, nil
}

// Replicate copies records in order, each at its position, under the assignment's epoch.
func (t *toy) Replicate(ctx context.Context, a understudy.Assignment, report func(understudy.Progress)) error {
	if t.scheduled() {
		return &understudy.Error{Code: "US999", Kind: understudy.KindBug, Op: "toy.replicate", Summary: "no mover follows a link that is replicated by schedule"}
	}
	m := &mover{toy: t, a: a}
	for {
		woken := t.world.Changed()
		p, err := m.round()
		if err != nil {
			return err
		}
		report(p)
		delay, hastened := t.world.lag()
		wait := time.NewTimer(delay)
		if p.Records == 0 || p.State == understudy.Broken || p.State == understudy.Diverged || p.State == understudy.LinkDown {
			wait.Reset(500 * time.Millisecond)
		} else {
			woken = nil
		}
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-woken:
		case <-hastened:
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (w *World) lag() (time.Duration, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delay, w.hastened
}

// mover is one run of Replicate.
type mover struct {
	toy    *toy
	a      understudy.Assignment
	safe   time.Time
	copied int64
	bytes  int64
	seen   int // the source's end as of the poll before
	polled time.Time
}

// round polls the source, copies what the poll before has seen, and says how far it is.
func (m *mover) round() (understudy.Progress, error) {
	w, l := m.toy.world, m.a.Link
	p := understudy.Progress{Link: l, Epoch: m.a.Epoch, At: time.Now(), State: understudy.LinkDown, Safe: m.safe, LastPoll: m.polled, CopiedRecords: m.copied, CopiedBytes: m.bytes}
	w.mu.Lock()
	defer w.mu.Unlock()
	from, to := w.servers[l.From], w.servers[l.To]
	if !to.up {
		return p, nil
	}
	for site, s := range map[understudy.Site]*server{l.From: from, l.To: to} {
		if err := another(m.a.Kept, site, s.identity); err != nil {
			return p, err
		}
	}
	if to.token > m.a.Epoch {
		p.NeedEpoch = to.token
		return p, nil
	}
	if !from.up {
		return p, nil
	}
	if shard := m.stopped(from, to); shard != nil {
		p.State, p.Shards = shard.State, []understudy.ShardProgress{*shard}
		return p, nil
	}
	m.copyUpTo(from, to, min(m.seen, len(from.records)))
	sent := time.Now()
	m.seen, m.polled = len(from.records), sent
	if !m.a.Frozen() && to.settings["retention"] != from.settings["retention"] {
		to.settings["retention"] = from.settings["retention"]
		p.Keep = understudy.Keep{"intended": json.RawMessage(`"` + from.settings["retention"] + `"`)}
	}
	p.State, p.Records = understudy.CatchingUp, int64(len(from.records)-len(to.records))
	for _, r := range from.records[min(len(to.records), len(from.records)):] {
		p.Bytes += r.size()
	}
	if p.Records <= 0 {
		m.safe = sent
	}
	if !m.safe.IsZero() {
		// Once it has caught up, a link that lags is still protected: exposure says by how much.
		p.State = understudy.Protected
	}
	p.Safe, p.LastPoll, p.CopiedRecords, p.CopiedBytes = m.safe, m.polled, m.copied, m.bytes
	p.Shards = []understudy.ShardProgress{{Shard: "0", State: p.State, Safe: m.safe, Source: int64(len(from.records)), Target: int64(len(to.records))}}
	return p, nil
}

// stopped says why the shard cannot go on: a gap at the source, or what is not ours at the target.
func (m *mover) stopped(from, to *server) *understudy.ShardProgress {
	end := len(to.records)
	if from.start > end {
		return &understudy.ShardProgress{Shard: "0", State: understudy.Broken, Error: &understudy.Error{
			Code: "US999", Kind: understudy.KindBroken, Op: "toy.replicate", Summary: "records were lost before they were copied",
		}}
	}
	same := end <= len(from.records)
	for i := from.start; same && i < end; i++ {
		same = from.records[i].ID == to.records[i].ID
	}
	if same {
		return nil
	}
	return &understudy.ShardProgress{Shard: "0", State: understudy.Diverged, Error: &understudy.Error{
		Code: "US999", Kind: understudy.KindBroken, Op: "toy.replicate", Summary: "the target holds what the source does not",
	}}
}

// copyUpTo appends the source's records below the position, or keeps the writes on their way when they are held.
func (m *mover) copyUpTo(from, to *server, end int) {
	w := m.toy.world
	for i := len(to.records); i < end; i++ {
		if w.holding {
			record, epoch := from.records[i], m.a.Epoch
			if len(w.held) == 0 {
				close(w.arrived)
			}
			w.held = append(w.held, func() error { return w.lateAppend(m.a.Link.To, epoch, i, record) })
			return
		}
		to.records = append(to.records, from.records[i])
		to.token = max(to.token, m.a.Epoch)
		m.copied++
		m.bytes += from.records[i].size()
		w.touch()
	}
}

// lateAppend is a mover's write that arrives now.
func (w *World) lateAppend(site understudy.Site, epoch understudy.RoleEpoch, position int, r Record) error {
	return w.at("append", site, func(s *server) error {
		if epoch < s.token {
			s.denied++
			return &understudy.Error{Code: "US999", Kind: understudy.KindFenced, Op: "toy.append", Summary: "an epoch below the server's token"}
		}
		if position != len(s.records) {
			return &understudy.Error{Code: "US999", Kind: understudy.KindConflict, Op: "toy.append", Summary: "not the end of the log"}
		}
		s.records = append(s.records, r)
		return nil
	})
}

// Verify compares every record.
func (t *toy) Verify(_ context.Context, scope understudy.Scope) (understudy.Verdict, error) {
	w := t.world
	w.mu.Lock()
	defer w.mu.Unlock()
	from, to := w.servers[scope.From], w.servers[scope.To]
	v := understudy.Verdict{Outcome: understudy.Match, From: scope.From, To: scope.To, At: time.Now(), Shards: 1, Coverage: "all records"}
	if len(scope.Shards) > 0 && !slices.ContainsFunc(scope.Shards, func(p string) bool { return regexp.MustCompile(`^(?:` + p + `)$`).MatchString("0") }) {
		v.Shards = 0
		return v, nil
	}
	if !from.up || !to.up {
		v.Outcome, v.Coverage = understudy.Unknown, "a site does not answer"
		return v, nil
	}
	if err := another(scope.Kept, scope.From, from.identity); err != nil {
		return v, err
	}
	if err := another(scope.Kept, scope.To, to.identity); err != nil {
		return v, err
	}
	for i := range max(len(from.records), len(to.records)) {
		switch {
		case i >= len(to.records):
			v.Outcome = worst(v.Outcome, understudy.Lagging)
		case i >= len(from.records) || from.records[i].ID != to.records[i].ID || from.records[i].Value != to.records[i].Value:
			v.Outcome = understudy.Different
			v.Differences = append(v.Differences, understudy.Difference{Shard: "0", Outcome: understudy.Different, First: int64(i), Last: int64(i), Text: "not the same record"})
		default:
			v.Compared++
		}
	}
	return v, nil
}

func worst(a, b understudy.Outcome) understudy.Outcome {
	if a == understudy.Different {
		return a
	}
	return b
}

// Close has nothing to close.
func (t *toy) Close() error { return nil }

func exportToyLedger(_ context.Context, dir string, write func(line []byte) error) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return err
		}
		if err := write(b); err != nil {
			return err
		}
	}
	return nil
}
