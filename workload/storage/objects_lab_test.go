package storage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/proxy"
	"github.com/understudy-dr/understudy/lab/versitygw"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// things is a store as its vendor's client has it, one site's.
type things interface {
	put(ctx context.Context, key string, content []byte) error
	get(ctx context.Context, key string) ([]byte, error)
	remove(ctx context.Context, key string) error
	list(ctx context.Context, prefix string) (map[string]int64, error)
	// refused has the ordinary writer write, and says whether the store refused it.
	refused(ctx context.Context, key string) (bool, error)
}

// bucket is one on versitygw, for a user whom only its policy lets write, and for the account.
type bucket struct {
	name     string
	as, root *versitygw.Client
}

func (b bucket) put(ctx context.Context, key string, c []byte) error {
	return b.root.Put(ctx, b.name, key, c)
}
func (b bucket) get(ctx context.Context, key string) ([]byte, error) {
	return b.root.Get(ctx, b.name, key)
}
func (b bucket) remove(ctx context.Context, key string) error { return b.root.Remove(ctx, b.name, key) }
func (b bucket) list(ctx context.Context, prefix string) (map[string]int64, error) {
	return b.root.List(ctx, b.name, prefix)
}

func (b bucket) refused(ctx context.Context, key string) (bool, error) {
	err := b.as.Put(ctx, b.name, key, nil)
	if versitygw.Denied(err) {
		return true, nil
	}
	return false, errors.Join(err, b.root.Remove(ctx, b.name, key))
}

// box is a container on Azurite, for a signature and for the account.
type box struct{ as, root *azurite.Client }

func (b box) put(ctx context.Context, key string, c []byte) error { return b.root.Put(ctx, key, c) }
func (b box) get(ctx context.Context, key string) ([]byte, error) { return b.root.Get(ctx, key) }
func (b box) remove(ctx context.Context, key string) error        { return b.root.Remove(ctx, key) }
func (b box) list(ctx context.Context, prefix string) (map[string]int64, error) {
	return b.root.List(ctx, prefix)
}

func (b box) refused(ctx context.Context, key string) (bool, error) {
	err := b.as.Put(ctx, key, nil)
	if azurite.Denied(err) {
		return true, nil
	}
	return false, errors.Join(err, b.root.Remove(ctx, key))
}

// objectPair is a workload between two object stores.
type objectPair struct {
	*testing.T
	store map[understudy.Site]things
	way   map[understudy.Site]*proxy.Proxy
	spec  workload.Spec
	open  workload.Opening
	n     atomic.Int64
}

// shop is one server of a kind, which gives each pair buckets or containers of its own.
type shop struct {
	addr string
	made atomic.Int64
	// fresh makes one, and gives its endpoint at an address.
	fresh func(t *testing.T, name, addr string) (things, any)
}

// The ordinary writer, and the rule by which a bucket's owner lets it in.
const (
	writerKey = "labwriter"
	customer  = `{"Version":"2012-10-17","Statement":[{"Sid":"TheirOwn","Effect":"Allow","Principal":{"AWS":["labwriter"]},"Action":["s3:*"],"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%[1]s/*"]}]}`
)

// secrets are those that the endpoints of this file name.
func secrets(signatures map[string]string) func(context.Context, string) ([]byte, error) {
	return func(_ context.Context, name string) ([]byte, error) {
		known := map[string]string{
			"s3": versitygw.AccessKey + ":" + versitygw.SecretKey, "s3-writer": writerKey + ":" + writerKey + "secret", "blob": azurite.Key(),
			"s3-stranger": "nobody:nothing", "blob-stranger": "bm9ib2R5", "sig-wrong": "sv=2021-08-06&sr=c&si=app&sig=bm9ib2R5",
		}
		maps.Copy(known, signatures)
		if v, ok := known[name]; ok {
			return []byte(v + "\n"), nil
		}
		return nil, fmt.Errorf("no secret %s", name)
	}
}

// s3Shop starts versitygw.
func s3Shop(t *testing.T) *shop {
	server := versitygw.Boot(t)
	must(t, server.AddUser(t.Context(), writerKey, writerKey+"secret"))
	root, err := server.Client(versitygw.AccessKey, versitygw.SecretKey)
	must(t, err)
	as, err := server.Client(writerKey, writerKey+"secret")
	must(t, err)
	return &shop{addr: server.Addr(), fresh: func(t *testing.T, name, addr string) (things, any) {
		must(t, server.MakeBucket(name))
		must(t, root.SetPolicy(t.Context(), name, fmt.Sprintf(customer, name)))
		return bucket{name, as, root}, &storage.S3{
			URL: "http://" + addr, Region: versitygw.Region, Bucket: name, Prefix: "lake", Secret: "s3", Fence: "policy",
			Writer: &storage.ObjectWriter{Secret: "s3-writer"},
		}
	}}
}

// blobShop starts Azurite. Its account is the first element of the path, as the product reads it.
func blobShop(t *testing.T) *shop {
	server := azurite.Boot(t)
	return &shop{addr: server.Addr(), fresh: func(t *testing.T, name, addr string) (things, any) {
		root, err := server.Client(name)
		must(t, err)
		must(t, root.Make(t.Context(), map[string]string{"app": "racwdl", "readers": "rl"}))
		signature, err := azurite.Sign(name, "app")
		must(t, err)
		as, err := server.ClientAs(name, signature)
		must(t, err)
		return box{as, root}, &storage.Blob{
			URL: "http://" + addr + "/" + azurite.Account, Container: name, Prefix: "lake", Secret: "blob", Policies: []string{"app"},
			Writer: &storage.ObjectWriter{Secret: understudy.SecretName("sig-" + name)},
		}
	}}
}

// pair makes two sites, each behind a path that can be cut.
func (s *shop) pair(t *testing.T) *objectPair {
	t.Helper()
	n := s.made.Add(1)
	cfg := &storage.Config{Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}}
	for _, tree := range trees() {
		cfg.Trees = append(cfg.Trees, storage.Tree{Path: tree})
	}
	p := &objectPair{T: t, store: map[understudy.Site]things{}, way: map[understudy.Site]*proxy.Proxy{}}
	p.spec = workload.Spec{
		Plan: "contoso", Name: "curated", Kind: storage.Name, Architecture: understudy.StandbySecondary, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, RPO: 5 * time.Hour, Config: cfg, Clusters: map[understudy.Site]any{},
	}
	signatures := map[string]string{}
	for _, site := range p.spec.Sites {
		way, err := proxy.Listen("127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(s.addr)
		name := fmt.Sprintf("lake-%s-%d", site, n)
		signature, err := azurite.Sign(name, "app")
		must(t, err)
		signatures["sig-"+name] = signature
		p.way[site] = way
		p.store[site], p.spec.Clusters[site] = s.fresh(t, name, way.Addr())
	}
	p.open = workload.Opening{ControlPlane: "cp-1", DataDir: filepath.Join(t.TempDir(), "data"), Secret: secrets(signatures)}
	return p
}

func (s *shop) stand(t *testing.T) workloadtest.Harness {
	p := s.pair(t)
	return workloadtest.Harness{
		Kind: storage.Kind(), Spec: p.spec, Opening: p.open, Write: p.write, Refused: p.refused, Same: p.same, Damage: p.damage, Lose: p.lose,
		Patience: 2 * time.Minute,
	}
}

func (p *objectPair) write(ctx context.Context, site understudy.Site, n int) error {
	for range n {
		id := p.n.Add(1)
		tree := "lake" + trees()[id%2]
		for name, content := range map[string]string{
			fmt.Sprintf("d%d/f%d", id%3, id): fmt.Sprintf("content of %d", id),
			"latest":                         fmt.Sprintf("the %dth", id),
		} {
			if err := p.store[site].put(ctx, tree+"/"+name, []byte(content)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *objectPair) refused(ctx context.Context, site understudy.Site) (bool, error) {
	for _, tree := range trees() {
		if refused, err := p.store[site].refused(ctx, "lake"+tree+"/mine"); err != nil || !refused {
			return false, err
		}
	}
	return true, nil
}

// same compares the trees byte by byte.
func (p *objectPair) same(ctx context.Context) error {
	for _, tree := range trees() {
		a, err := p.content(ctx, east, tree)
		if err != nil {
			return err
		}
		b, err := p.content(ctx, west, tree)
		if err != nil {
			return err
		}
		if a != b {
			return fmt.Errorf("%s: east has\n%swest has\n%s", tree, a, b)
		}
	}
	return nil
}

func (p *objectPair) content(ctx context.Context, site understudy.Site, tree string) (string, error) {
	all, err := p.store[site].list(ctx, "lake"+tree+"/")
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b, err := p.store[site].get(ctx, key)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s %q\n", key, b)
	}
	return out.String(), err
}

func (p *objectPair) damage(ctx context.Context, site understudy.Site, how workloadtest.Damage) error {
	const key = "lake/jars/latest"
	switch how {
	case workloadtest.Extra:
		return p.store[site].put(ctx, key+".extra", []byte("extra"))
	case workloadtest.Missing:
		return p.store[site].remove(ctx, key)
	case workloadtest.None:
		return nil
	case workloadtest.Flip:
	}
	b, err := p.store[site].get(ctx, key)
	if err != nil {
		return err
	}
	b[0] ^= 1
	return p.store[site].put(ctx, key, b)
}

func (p *objectPair) lose(_ context.Context, site understudy.Site) (func() error, error) {
	p.way[site].Cut()
	return func() error { p.way[site].Heal(); return nil }, nil
}

// TestObjectStores holds storage to the contract of workloads between two buckets, and between two containers, and to what it says where
// something is missing or wrong.
func TestObjectStores(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *shop{"s3": s3Shop, "blob": blobShop} {
		t.Run(name, func(t *testing.T) {
			// Each waits long for a store that was lost.
			t.Parallel()
			s := open(t)
			workloadtest.RunScheduled(t, s.stand)
			t.Run("nothing keeps writers out", func(t *testing.T) { unguarded(t, s.pair(t)) })
			t.Run("what is wrong is told", func(t *testing.T) { wrong(t, s.pair(t)) })
			t.Run("a store that was made anew", func(t *testing.T) { anew(t, s.pair(t)) })
			t.Run("a set that is shown in part", func(t *testing.T) { shownInPart(t, s.pair(t)) })
			t.Run("a set that a later link has outlived", func(t *testing.T) { outlived(t, s.pair(t)) })
			t.Run("a protection that began anew", func(t *testing.T) { protectedAgain(t, s.pair(t)) })
		})
	}
}

func (p *objectPair) opened() workload.Workload {
	p.Helper()
	w, err := storage.Kind().Open(p.Context(), p.spec, p.open)
	must(p.T, err)
	p.Cleanup(func() { must(p.T, w.Close()) })
	return w
}

// role is the first one, and stage one stage of a verb from east to west under it.
func (p *objectPair) stage(w workload.Workload, v understudy.Verb, name understudy.StageName, kept understudy.Keep) ([]understudy.Step, error) {
	obs, err := w.Observe(p.Context())
	must(p.T, err)
	role := understudy.Role{}.Promoted(east)
	return w.Decide(understudy.Stage{
		Name: name, Operation: "op-1", Verb: v, Workload: "curated", Plan: "contoso", ControlPlane: "cp-1",
		Before: role, Now: role, After: role, Old: east, To: west, Kept: kept,
	}, obs)
}

// does runs all steps of a stage and gives their receipts.
func (p *objectPair) does(w workload.Workload, v understudy.Verb, name understudy.StageName, kept understudy.Keep) ([]understudy.Receipt, error) {
	p.Helper()
	steps, err := p.stage(w, v, name, kept)
	must(p.T, err)
	role := understudy.Role{}.Promoted(east)
	run := understudy.Run{
		Operation: "op-1", Verb: v, ControlPlane: "cp-1", Now: role, LedgerDir: filepath.Join(p.TempDir(), "ledger"),
		Lease: understudy.Lease{Deadline: func() time.Time { return time.Now().Add(time.Minute) }},
		Role:  func(context.Context) (understudy.Role, error) { return role, nil },
	}
	var out []understudy.Receipt
	for _, s := range steps {
		r, err := w.Do(p.Context(), s, run)
		if err != nil {
			return out, err
		}
		for n, v := range r.Keep {
			kept[n] = v
		}
		out = append(out, r)
	}
	return out, nil
}

// mute takes from the endpoints of a pair what closes them, or the writer alone.
func (p *objectPair) mute(change func(*storage.S3, *storage.Blob)) {
	for _, e := range p.spec.Clusters {
		s, _ := e.(*storage.S3)
		b, _ := e.(*storage.Blob)
		if s != nil || b != nil {
			change(s, b)
		}
	}
}

// unguarded protects a pair that nothing closes: it is said, nothing is pretended, and the way back is open as long as nobody wrote.
func unguarded(t *testing.T, p *objectPair) {
	p.mute(func(s *storage.S3, b *storage.Blob) {
		if s != nil {
			s.Fence = "none"
			return
		}
		b.Policies, b.Writer = nil, nil
	})
	must(t, p.write(t.Context(), east, 4))
	w, kept := p.opened(), understudy.Keep{}
	warned := false
	for _, stage := range []understudy.StageName{understudy.StageProvision, understudy.StageCreate, understudy.StageGuard, understudy.StageBootstrap} {
		all, err := p.does(w, understudy.Protect, stage, kept)
		must(t, err)
		for _, r := range all {
			warned = warned || strings.Contains(strings.Join(r.Warnings, "\n"), "unguarded (F0)")
		}
	}
	must(t, p.same(t.Context()))
	obs, err := w.Observe(t.Context())
	must(t, err)
	found := slices.ContainsFunc(obs.Findings, func(f workload.Finding) bool { return f.Code == "US731" && f.Level == "warning" })
	if !warned || !found || obs.Sites[west].Writable != "unguarded" {
		t.Errorf("warned %v, found %v: %+v", warned, found, obs.Sites[west])
	}
	_, err = p.stage(w, understudy.Switchover, understudy.StageCheck, kept)
	wants(t, "US731", err)
	all, err := p.does(w, understudy.Duty, understudy.StageFence, kept)
	must(t, err)
	if proof := all[len(all)-1].Proofs[0]; proof.Complete || proof.Level != understudy.F0 || len(proof.Missing) != 2 {
		t.Errorf("the proof of the fence is %+v", proof)
	}
	untouched := func() understudy.Proof {
		all, err := p.does(w, understudy.Abort, understudy.StageRestore, kept)
		must(t, err)
		return all[0].Proofs[0]
	}
	if proof := untouched(); !proof.Complete || proof.Kind != understudy.ProofNeverEnabled {
		t.Errorf("the proof that nobody wrote is %+v", proof)
	}
	must(t, p.store[west].put(t.Context(), "lake/jars/foreign", []byte("foreign")))
	if proof := untouched(); proof.Complete || !strings.Contains(strings.Join(proof.Missing, " "), "foreign") {
		t.Errorf("somebody wrote, and the proof is %+v", proof)
	}
}

// wrong names things that are not there, or not known.
func wrong(t *testing.T, p *objectPair) {
	seen := func(presence workload.Presence) *understudy.Error {
		t.Helper()
		w := p.opened()
		obs, err := w.Observe(t.Context())
		must(t, err)
		if obs.Sites[east].Presence != presence || obs.Sites[east].Error == nil {
			t.Fatalf("east is %+v", obs.Sites[east])
		}
		// Nobody's word stands for the fence of a store that answers.
		if _, err = p.stage(w, understudy.Failover, understudy.StageFence, nil); (err != nil) != (presence == workload.Present) {
			t.Errorf("the fence: %v", err)
		}
		return obs.Sites[east].Error
	}
	p.mute(func(s *storage.S3, b *storage.Blob) {
		if s != nil {
			s.Secret = "s3-stranger"
			return
		}
		b.Secret = "blob-stranger"
	})
	wants(t, "US705", seen(workload.Present))
	p.mute(func(s *storage.S3, b *storage.Blob) {
		if s != nil {
			s.Secret = "nowhere"
			return
		}
		b.Secret = "nowhere"
	})
	wants(t, "US725", seen(workload.Present))
	if b, ok := p.spec.Clusters[east].(*storage.Blob); ok {
		b.Secret, b.Policies = "blob", []string{"nobodys"}
		wants(t, "US730", seen(workload.Present))
	}
	p.mute(func(s *storage.S3, b *storage.Blob) {
		if s != nil {
			s.Secret, s.Bucket = "s3", "absent-bucket"
			return
		}
		b.Secret, b.Policies, b.Container = "blob", []string{"app"}, "absent-container"
	})
	wants(t, "US730", seen(workload.Unreachable))
}

// anew takes the mark away, as a bucket has none that was made again under its name.
func anew(t *testing.T, p *objectPair) {
	must(t, p.write(t.Context(), east, 4))
	w, kept := p.opened(), understudy.Keep{}
	for _, stage := range []understudy.StageName{understudy.StageProvision, understudy.StageCreate} {
		_, err := p.does(w, understudy.Protect, stage, kept)
		must(t, err)
	}
	_, err := p.stage(w, understudy.Replicate, understudy.StageCheck, kept)
	must(t, err)
	must(t, p.store[west].remove(t.Context(), "lake/.understudy/store"))
	_, err = p.stage(w, understudy.Replicate, understudy.StageCheck, kept)
	wants(t, "US706", err)
	p.namesLate(w, kept)
	if _, ok := p.spec.Clusters[west].(*storage.ADLS); ok {
		// It names none.
		return
	}
	// A writer whom the store does not know proves nothing, and is no refusal.
	p.mute(func(s *storage.S3, b *storage.Blob) {
		if s != nil {
			s.Writer.Secret = "s3-stranger"
			return
		}
		b.Writer.Secret = "sig-wrong"
	})
	_, err = p.does(p.opened(), understudy.Duty, understudy.StageFence, understudy.Keep{})
	wants(t, "US731", err)
}

// namesLate replicates into a store that an earlier version protected while it was silent: a run names it, and the next one remembers the name.
func (p *objectPair) namesLate(w workload.Workload, kept understudy.Keep) {
	p.Helper()
	kept = understudy.Keep{"store/east": kept["store/east"], "store/west": []byte(`""`)}
	for range 2 {
		_, err := p.does(w, understudy.Replicate, understudy.StageProvision, kept)
		must(p.T, err)
	}
	if _, err := p.store[west].get(p.Context(), "lake/.understudy/store"); err != nil || len(kept["store/west"]) < 3 {
		p.Errorf("of a store without a name it remembers %s, %v", kept["store/west"], err)
	}
}
