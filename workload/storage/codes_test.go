package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// wants wants an error with a code that has a page.
func wants(t *testing.T, code understudy.Code, err error) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

func (p *pair) opened(t *testing.T) workload.Workload {
	t.Helper()
	w, err := storage.Kind().Open(t.Context(), p.spec, p.open)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	return w
}

// stage is one stage of a verb from east to west, under the first role.
func (p *pair) stage(v understudy.Verb, name understudy.StageName, kept understudy.Keep) understudy.Stage {
	role := understudy.Role{}.Promoted(east)
	return understudy.Stage{
		Name: name, Operation: "op-1", Verb: v, Workload: "curated", Plan: "contoso", ControlPlane: "cp-1",
		Before: role, Now: role, After: role, Old: east, To: west, Kept: kept,
	}
}

func (p *pair) run() understudy.Run {
	role := understudy.Role{}.Promoted(east)
	return understudy.Run{
		Operation: "op-1", Verb: understudy.Replicate, ControlPlane: "cp-1", Now: role, LedgerDir: filepath.Join(p.t.TempDir(), "ledger"),
		Lease: understudy.Lease{Deadline: func() time.Time { return time.Now().Add(time.Minute) }},
		Role:  func(context.Context) (understudy.Role, error) { return role, nil },
	}
}

// decided gives the steps of a stage.
func (p *pair) decided(w workload.Workload, s understudy.Stage) ([]understudy.Step, error) {
	p.t.Helper()
	obs, err := w.Observe(p.t.Context())
	must(p.t, err)
	return w.Decide(s, obs)
}

// does runs all steps of a stage.
func (p *pair) does(w workload.Workload, v understudy.Verb, name understudy.StageName) error {
	p.t.Helper()
	steps, err := p.decided(w, p.stage(v, name, nil))
	must(p.t, err)
	for _, s := range steps {
		if _, err := w.Do(p.t.Context(), s, p.run()); err != nil {
			return err
		}
	}
	return nil
}

// TestProofByReading runs with the plan's choice, and without: the receipt says what was read back.
func TestProofByReading(t *testing.T) {
	for proof, back := range map[string]bool{"": false, "checksum": false, "read": true} {
		p := newPair(t)
		p.spec.Config.(*storage.Config).Proof = proof
		must(t, p.write(t.Context(), east, 4))
		text := p.says()
		if strings.Contains(text, "files were read back at west") != back || strings.Contains(text, "were read back there") != back {
			t.Errorf("proof %q says\n%s", proof, text)
		}
	}
}

// says runs a set up to its proof, and gives what the receipts say.
func (p *pair) says() string {
	p.t.Helper()
	w := p.opened(p.t)
	must(p.t, p.does(w, understudy.Protect, understudy.StageCreate))
	var said strings.Builder
	for _, stage := range []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve} {
		steps, err := p.decided(w, p.stage(understudy.Replicate, stage, nil))
		must(p.t, err)
		for _, s := range steps {
			r, err := w.Do(p.t.Context(), s, p.run())
			must(p.t, err)
			fmt.Fprintf(&said, "%s %+v\n", r.Summary, r.Proofs)
		}
	}
	return said.String()
}

func TestSpecificationsAreChecked(t *testing.T) {
	p := newPair(t)
	kind := storage.Kind()
	if bad := kind.Validate(p.spec); len(bad) != 0 {
		t.Fatalf("a good specification: %+v", bad)
	}
	for name, change := range map[string]func(*storage.Config, workload.Spec){
		"no trees":          func(c *storage.Config, _ workload.Spec) { c.Trees = nil },
		"a relative tree":   func(c *storage.Config, _ workload.Spec) { c.Trees[0].Path = "data" },
		"the root":          func(c *storage.Config, _ workload.Spec) { c.Trees[0].Path = "/" },
		"an unclean tree":   func(c *storage.Config, _ workload.Spec) { c.Trees[0].Path = "/data/../x" },
		"our own folder":    func(c *storage.Config, _ workload.Spec) { c.Trees[0].Path = "/data/.x.understudy/e1" },
		"a snapshot":        func(c *storage.Config, _ workload.Spec) { c.Trees[0].Path = "/data/.snapshot/s1" },
		"a tree in another": func(c *storage.Config, _ workload.Spec) { c.Trees[1].Path = "/data/curated/part" },
		"a share":           func(c *storage.Config, _ workload.Spec) { c.Guard.Percent = 101 },
		"a number":          func(c *storage.Config, _ workload.Spec) { c.Guard.Deletes = -1 },
		"a time":            func(c *storage.Config, _ workload.Spec) { c.Guard.Keep = -1 },
		"a proof":           func(c *storage.Config, _ workload.Spec) { c.Proof = "hope" },
		"parallel":          func(c *storage.Config, _ workload.Spec) { c.Parallel = -1 },
		"two names as one": func(c *storage.Config, _ workload.Spec) {
			c.Principals.Users = map[string]string{"ada": "x", "bob": "x"}
		},
		"a NameNode": func(_ *storage.Config, s workload.Spec) { s.Clusters[east] = &storage.HDFS{Namenodes: []string{"nn"}} },
		"no NameNode": func(_ *storage.Config, s workload.Spec) {
			s.Clusters[east] = &storage.HDFS{Writer: &storage.Writer{}}
		},
		"a protection": func(_ *storage.Config, s workload.Spec) {
			s.Clusters[east] = &storage.HDFS{Namenodes: []string{"nn:8020"}, Kerberos: &storage.Kerberos{Principal: "us", Keytab: "us", DataProtection: "secret"}}
		},
		"a writer's protection": func(_ *storage.Config, s workload.Spec) {
			s.Clusters[east] = &storage.HDFS{Namenodes: []string{"nn:8020"}, Writer: &storage.Writer{Kerberos: &storage.Kerberos{Principal: "us", Keytab: "us", Protection: "none"}}}
		},
		"a relative root": func(_ *storage.Config, s workload.Spec) { s.Clusters[east] = &storage.Local{Root: "here"} },
	} {
		q := newPair(t)
		change(q.spec.Config.(*storage.Config), q.spec)
		bad := kind.Validate(q.spec)
		if len(bad) == 0 {
			t.Errorf("%s was not refused", name)
			continue
		}
		wants(t, "US700", bad[0].Err)
	}
}

func TestTreesOfTwoWorkloadsAreRefused(t *testing.T) {
	a, b := newPair(t), newPair(t)
	overlap := storage.Kind().Overlap
	if e := overlap(a.spec, b.spec); e != nil {
		t.Errorf("other stores: %v", e.Err)
	}
	other := b.spec
	other.Clusters = a.spec.Clusters
	other.Config = &storage.Config{Trees: []storage.Tree{{Path: "/jars/lib"}}}
	e := overlap(a.spec, other)
	if e == nil {
		t.Fatal("a tree within another's was not refused")
	}
	wants(t, "US703", e.Err)
	// A tree that carries another workload's stamp is refused too, however it came about.
	w := a.opened(t)
	must(t, a.does(w, understudy.Protect, understudy.StageCreate))
	a.spec.Name = "second"
	obs, err := a.opened(t).Observe(t.Context())
	must(t, err)
	if len(obs.Findings) == 0 || obs.Findings[0].Level != "refuse" || obs.Findings[0].Code != "US703" {
		t.Errorf("findings: %+v", obs.Findings)
	}
}

// TestSitesOfOneStoreAreRefused has the site files lead both sites to one tree, or one into the other's, and to one store by two names.
func TestSitesOfOneStoreAreRefused(t *testing.T) {
	p := newPair(t)
	root := p.root[east]
	nn := &storage.HDFS{Namenodes: []string{"nn:8020"}}
	for name, c := range map[string]struct {
		east, west any
		refused    bool
	}{
		"one root":          {&storage.Local{Root: root}, &storage.Local{Root: root}, true},
		"the target within": {&storage.Local{Root: root}, &storage.Local{Root: root + trees()[0] + "/in"}, true},
		"the source within": {&storage.Local{Root: root + trees()[0] + "/in"}, &storage.Local{Root: root}, true},
		"beside":            {&storage.Local{Root: root}, &storage.Local{Root: root + "/beside"}, false},
		"one NameNode":      {nn, &storage.HDFS{Namenodes: []string{"other:8020", "nn:8020"}}, true},
		"one prefix":        {&storage.S3{URL: "https://s3", Bucket: "b", Prefix: "p"}, &storage.S3{URL: "https://s3", Bucket: "b", Prefix: "p"}, true},
		"other prefixes":    {&storage.S3{URL: "https://s3", Bucket: "b", Prefix: "p"}, &storage.S3{URL: "https://s3", Bucket: "b", Prefix: "q"}, false},
	} {
		p.spec.Clusters[east], p.spec.Clusters[west] = c.east, c.west
		bad := storage.Kind().Validate(p.spec)
		refused := slices.ContainsFunc(bad, func(e workload.FieldError) bool { return e.Err.Code == "US703" })
		if refused != c.refused {
			t.Errorf("%s: %v", name, bad)
		}
	}
	alias := t.TempDir() + "/alias"
	must(t, os.Symlink(root, alias))
	p.spec.Clusters[east], p.spec.Clusters[west] = &storage.Local{Root: root}, &storage.Local{Root: alias}
	w := p.opened(t)
	obs, err := w.Observe(t.Context())
	must(t, err)
	if !slices.ContainsFunc(obs.Findings, func(f workload.Finding) bool { return f.Code == "US703" && f.Level == "refuse" }) {
		t.Errorf("findings: %+v", obs.Findings)
	}
	_, err = p.decided(w, p.stage(understudy.Protect, understudy.StageCheck, nil))
	wants(t, "US703", err)
}

func TestWhatIsNotThereIsNotCopied(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, os.RemoveAll(p.root[east]+"/jars"))
	_, err := p.decided(w, p.stage(understudy.Replicate, understudy.StageCheck, nil))
	wants(t, "US704", err)
	must(t, os.Rename(p.root[east], p.root[east]+".away"))
	_, err = p.decided(w, p.stage(understudy.Replicate, understudy.StageCheck, nil))
	wants(t, "US702", err)
	_, err = p.decided(w, p.stage(understudy.Replicate, understudy.StageProvision, nil))
	must(t, err)
}

// TestASilentStoreIsOutOfReach looks at a NameNode that takes connections and says nothing.
func TestASilentStoreIsOutOfReach(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, silent.Close()) })
	p := newPair(t)
	p.spec.Clusters[west] = &storage.HDFS{Namenodes: []string{silent.Addr().String()}, User: "hdfs"}
	obs, err := p.opened(t).Observe(workload.WithSilent(t.Context(), west))
	must(t, err)
	if s := obs.Sites[west]; s.Presence != workload.Unreachable {
		t.Errorf("it is %s", s.Presence)
	}
	wants(t, "US702", obs.Sites[west].Error)
}

func TestExchangedStoresAreRefused(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	kept := understudy.Keep{}
	steps, err := p.decided(w, p.stage(understudy.Protect, understudy.StageCreate, nil))
	must(t, err)
	for _, s := range steps {
		r, err := w.Do(t.Context(), s, p.run())
		must(t, err)
		for n, v := range r.Keep {
			kept[n] = v
		}
	}
	must(t, os.Rename(p.root[east], p.root[east]+".tmp"))
	must(t, os.Rename(p.root[west], p.root[east]))
	must(t, os.Rename(p.root[east]+".tmp", p.root[west]))
	_, err = p.decided(w, p.stage(understudy.Replicate, understudy.StageCheck, kept))
	wants(t, "US706", err)
	for _, s := range steps {
		if s.Kind == "stamp" {
			_, err = w.Do(t.Context(), s, p.run())
			wants(t, "US706", err)
		}
	}
}

func TestLateOpeningsAreRefused(t *testing.T) {
	p := newPair(t)
	must(t, p.write(t.Context(), east, 2))
	w := p.opened(t)
	must(t, p.does(w, understudy.Protect, understudy.StageGuard))
	run := p.run()
	run.Role = func(context.Context) (understudy.Role, error) { return run.Now.Fenced(), nil }
	images, err := json.Marshal(map[string]any{"images": map[string]any{"/jars": map[string]any{"mode": 0o755}}})
	must(t, err)
	_, err = w.Do(t.Context(), understudy.Step{ID: "open@west", Kind: "open", Site: west, Args: images, Late: true}, run)
	wants(t, "US707", err)
	if info, err := os.Stat(p.root[west] + "/jars"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the root is %v, %v", info.Mode(), err)
	}
	run.Lease.Deadline = func() time.Time { return time.Now().Add(-time.Second) }
	_, err = w.Do(t.Context(), understudy.Step{ID: "open@west", Kind: "open", Site: west, Args: images}, run)
	wants(t, "US003", err)
}

func TestNothingIsShownThatIsNotReady(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	err := p.does(w, understudy.Replicate, understudy.StagePublish)
	wants(t, "US708", err)
}

func TestLedgersThatCannotBeWrittenOrFoundAreErrors(t *testing.T) {
	p := newPair(t)
	must(t, p.write(t.Context(), east, 2))
	w := p.opened(t)
	steps, err := p.decided(w, p.stage(understudy.Reprotect, understudy.StageLedger, nil))
	must(t, err)
	run := p.run()
	must(t, os.WriteFile(run.LedgerDir, nil, 0o600))
	_, err = w.Do(t.Context(), steps[0], run)
	wants(t, "US709", err)
	wants(t, "US710", storage.Kind().ExportLedger(t.Context(), t.TempDir(), func([]byte) error { return nil }))
}

// TestStoresThatFailAreNamed puts a file where understudy's folder should be.
func TestStoresThatFailAreNamed(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	steps, err := p.decided(w, p.stage(understudy.Protect, understudy.StageCreate, nil))
	must(t, err)
	must(t, os.WriteFile(p.root[east]+"/.jars.understudy", nil, 0o600))
	for _, s := range steps {
		if s.Kind == "stamp" && s.Site == east {
			_, err = w.Do(t.Context(), s, p.run())
			wants(t, "US701", err)
		}
	}
}
