package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// house is a pair under a control plane.
type house struct {
	*pair
	p *controltest.Plane
}

// newHouse protects a pair whose runs may delete as many entries as it says.
func newHouse(t *testing.T, deletes int) *house {
	h := &house{pair: newPair(t)}
	h.spec.Config.(*storage.Config).Guard.Deletes = deletes
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	h.p = controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: h.open.DataDir,
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: h.spec.Sites, Workloads: []workload.Planned{{Spec: h.spec, OnFailure: understudy.Stop, Schedule: every}}},
	})
	h.p.Apply()
	must(t, h.write(t.Context(), east, 8))
	h.p.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	return h
}

// runs begins a run and waits until it rests.
func (h *house) runs(accept ...understudy.Consent) control.Operation {
	h.t.Helper()
	return h.p.Rest(h.p.Begin(control.StartRequest{Verb: understudy.Replicate, Accept: accept}).ID)
}

// refuses wants an operation to have been refused with a code, and gives the fix, which must hold the text.
func (h *house) refuses(op control.Operation, code understudy.Code, fix string) {
	h.t.Helper()
	if op.State != control.PausedByStep || op.Error == nil || op.Error.Code != code || !strings.Contains(op.Error.Fix, fix) {
		h.t.Fatalf("%s is %s: %v; want %s with %q", op.Verb, op.State, op.Error, code, fix)
	}
}

// succeeds wants an operation to have come to its good end, with both sides alike.
func (h *house) succeeds(op control.Operation, as control.State) {
	h.t.Helper()
	if op.State != as {
		h.t.Fatalf("%s is %s: %v", op.Verb, op.State, op.Error)
	}
	must(h.t, h.same(h.t.Context()))
}

// lacks removes files of a tree at east: of those that write has made, the first so many.
func (h *house) lacks(tree string, n int) {
	h.t.Helper()
	all, err := filepath.Glob(h.root[east] + tree + "/d*/f*")
	must(h.t, err)
	for _, f := range all[:n] {
		must(h.t, os.Remove(f))
	}
}

const run = "understudy replicate contoso/curated"

// TestDeletesAreAcceptedByTheirNumberForOneRun has a guard that lets nothing be deleted.
func TestDeletesAreAcceptedByTheirNumberForOneRun(t *testing.T) {
	h := newHouse(t, 0)
	h.lacks("/jars", 2)
	h.refuses(h.runs(), "US605", "`"+run+" --accept-deletes /jars=2`")
	h.refuses(h.runs(understudy.Consent{Shard: "/jars", Deletes: 1}), "US605", "--accept-deletes /jars=2`")
	h.refuses(h.runs(understudy.Consent{Shard: "/data/curated", Deletes: 9}), "US605", "--accept-deletes /jars=2`")
	h.refuses(h.runs(understudy.Consent{Deletes: 9}), "US719", "TREE=N")
	h.refuses(h.runs(understudy.Consent{Shard: "/jar", Deletes: 9}), "US719", "name one of its trees")
	op := h.runs(understudy.Consent{Shard: "/jars", Deletes: 2})
	h.succeeds(op, control.Committed)
	r, err := h.p.Report(t.Context(), op.ID)
	must(t, err)
	h.shown(r)
	// It held for that run only.
	h.lacks("/jars", 1)
	h.refuses(h.runs(), "US605", "--accept-deletes /jars=1`")
	h.refuses(h.p.Act(h.p.Retry, control.ActRequest{Operation: h.newest().ID}), "US605", "--accept-deletes /jars=1`")
	h.succeeds(h.p.Act(h.p.Retry, control.ActRequest{Operation: h.newest().ID, Accept: []understudy.Consent{{Shard: "/jars", Deletes: 1}}}), control.Committed)
	// What stops a takeover is accepted where it stopped.
	h.lacks("/data/curated", 1)
	op = h.p.Do(control.StartRequest{Verb: understudy.Switchover}, control.PausedByStep)
	h.refuses(op, "US605", fmt.Sprintf("`understudy retry %s --accept-deletes /data/curated=1`", op.ID))
	h.succeeds(h.p.Act(h.p.Retry, control.ActRequest{Operation: op.ID, Accept: []understudy.Consent{{Shard: "/data/curated", Deletes: 1}}}), control.CommitWindow)
}

func (h *house) newest() control.Operation {
	h.t.Helper()
	op, ok := h.p.Newest(understudy.Replicate)
	if !ok {
		h.t.Fatal("there was no run")
	}
	return op
}

// shown wants a word to be in the journaled steps, and in the report, under the name of who gave it.
func (h *house) shown(r control.Report) {
	h.t.Helper()
	journaled := 0
	for _, st := range r.Stages {
		for _, s := range st.Steps {
			var args struct {
				Tree    string
				Consent *understudy.Consent
			}
			must(h.t, json.Unmarshal(s.Step.Args, &args))
			if c := args.Consent; c != nil && args.Tree == "/jars" && c.By == "ada" && c.Deletes == 2 {
				journaled++
			}
		}
	}
	told := slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "/jars: ada accepted for this run only: 2 deletes") })
	if journaled != 2 || !told {
		h.t.Errorf("%d steps hold the word; warnings %q", journaled, r.Warnings)
	}
}

// TestASourceMadeAnewIsAcceptedByItsIdentity makes the root of one tree anew, at last without any file.
func TestASourceMadeAnewIsAcceptedByItsIdentity(t *testing.T) {
	h := newHouse(t, 0)
	tree := h.root[east] + "/jars"
	must(t, os.Rename(tree, tree+".gone"))
	must(t, os.Mkdir(tree, 0o755))
	must(t, os.WriteFile(tree+"/latest", []byte("anew"), 0o644))
	op := h.runs()
	h.refuses(op, "US603", "`"+run+" --accept-source /jars=")
	identity := op.Error.Fix[strings.Index(op.Error.Fix, "/jars=")+6 : strings.LastIndex(op.Error.Fix, "`")]
	h.refuses(h.runs(understudy.Consent{Shard: "/jars", Source: identity + "0"}), "US603", "--accept-source /jars="+identity+"`")
	op = h.runs(understudy.Consent{Shard: "/jars", Source: identity})
	h.refuses(op, "US605", "--accept-source /jars="+identity+" --accept-deletes /jars=")
	var n int64
	_, err := fmt.Sscanf(op.Error.Fix[strings.LastIndex(op.Error.Fix, "=")+1:], "%d", &n)
	must(t, err)
	h.succeeds(h.runs(understudy.Consent{Shard: "/jars", Source: identity}, understudy.Consent{Shard: "/jars", Deletes: n}), control.Committed)
	h.succeeds(h.runs(), control.Committed)
	must(t, os.Remove(tree+"/latest"))
	h.refuses(h.runs(), "US604", "`"+run+" --accept-deletes /jars=1`")
	h.succeeds(h.runs(understudy.Consent{Shard: "/jars", Deletes: 1}), control.Committed)
}

// TestARepairPutsTheTargetRight is asked for; runs that are not find nothing.
func TestARepairPutsTheTargetRight(t *testing.T) {
	h := newHouse(t, 100)
	must(t, os.WriteFile(h.root[west]+"/jars/latest", []byte("drifted"), 0o600))
	must(t, os.WriteFile(h.root[west]+"/jars/foreign", []byte("drifted"), 0o600))
	if op := h.runs(); op.State != control.Committed || h.same(t.Context()) == nil {
		t.Fatalf("a run without repair: %s, %v", op.State, op.Error)
	}
	h.succeeds(h.p.Do(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}, control.Committed), control.Committed)
	_, err := h.p.Controller.Start(t.Context(), control.StartRequest{Verb: understudy.Replicate, Plan: "contoso", By: "ada", Sweeps: []understudy.Sweep{understudy.Relist}})
	wants(t, "US278", err)
	sweeps := func(cfg storage.Config, endpoint any) []workload.Sweeping {
		return storage.Kind().Sweeps(workload.Spec{Config: &cfg, Clusters: map[understudy.Site]any{east: endpoint}})
	}
	preset := *storage.Kind().NewConfig().(*storage.Config)
	if s := sweeps(preset, &storage.HDFS{}); len(s) != 2 || s[0].Schedule.String() != "every 24h" || s[1].Schedule.String() != "every 7d" {
		t.Errorf("sweeps of HDFS: %+v", s)
	}
	if s := sweeps(storage.Config{Repair: "never"}, &storage.Local{}); len(s) != 1 || s[0].Sweep != understudy.Repair || !s[0].Schedule.IsZero() {
		t.Errorf("sweeps of directories: %+v", s)
	}
	var r storage.Rhythm
	if err := r.UnmarshalText([]byte("now and then")); err == nil || r.UnmarshalText([]byte("never")) != nil || r.UnmarshalText([]byte("0 2 * * *")) != nil {
		t.Errorf("a rhythm: %v", err)
	}
}

// TestQuarantinesHaveAnEnd walks a pair through a takeover, and looks at what is kept beside its trees.
func TestQuarantinesHaveAnEnd(t *testing.T) {
	h := newHouse(t, 100)
	h.lacks("/jars", 1)
	h.succeeds(h.runs(), control.Committed)
	must(t, h.write(t.Context(), east, 3))
	back, err := h.lose(t.Context(), east)
	must(t, err)
	h.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	must(t, h.write(t.Context(), west, 2))
	h.p.Do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
	must(t, back())
	reprotect := h.p.Do(control.StartRequest{Verb: understudy.Reprotect}, control.Committed)
	old := h.one(west, "/.jars.understudy/halted-e*/quarantine/*")
	must(t, os.Rename(old, filepath.Join(filepath.Dir(old), "20200101T000000Z-1")))
	h.succeeds(h.runs(), control.Committed)
	if left, _ := filepath.Glob(filepath.Dir(old) + "/*"); len(left) != 0 {
		t.Errorf("the halted link still has %v", left)
	}
	kept := h.one(east, "/.jars.understudy/quarantine/ledger-"+string(reprotect.ID))
	list := h.one(east, "/.jars.understudy/kept/ledger/"+string(reprotect.ID)+".jsonl")
	_, err = h.p.DiscardLedger(t.Context(), control.LedgerRequest{Plan: "contoso", Workload: "curated", Operation: reprotect.ID, By: "ada", Reason: "looked through"})
	must(t, err)
	for _, gone := range []string{kept, list} {
		if _, err := os.Stat(gone); !os.IsNotExist(err) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	// What a run deletes now is there when understudy leaves.
	all, err := filepath.Glob(h.root[west] + "/jars/d*/f*")
	must(t, err)
	must(t, os.Remove(all[0]))
	h.succeeds(h.runs(), control.Committed)
	left := h.one(east, "/.jars.understudy/e*/quarantine/*")
	r, err := h.p.Report(t.Context(), h.p.Do(control.StartRequest{Verb: understudy.Unprotect}, control.Committed).ID)
	must(t, err)
	if !slices.ContainsFunc(r.Warnings, func(w string) bool {
		return strings.Contains(w, "/jars at east: quarantines stay in /.jars.understudy") && strings.Contains(w, filepath.Base(left))
	}) {
		t.Errorf("unprotect says %q", r.Warnings)
	}
}

// one gives the only path of a pattern at a site.
func (h *house) one(site understudy.Site, pattern string) string {
	h.t.Helper()
	all, err := filepath.Glob(h.root[site] + pattern)
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%s at %s: %v, %v", pattern, site, all, err)
	}
	return all[0]
}

// TestALedgerIsDiscardedWhereItsSiteAnswers refuses while the site is away, and does it later.
func TestALedgerIsDiscardedWhereItsSiteAnswers(t *testing.T) {
	p := newPair(t)
	away := false
	p.open.Absent = func(understudy.Site) bool { return away }
	w := p.opened(t).(workload.LedgerHolder)
	kept := p.root[east] + "/.jars.understudy/quarantine/ledger-op-1"
	must(t, os.MkdirAll(kept, 0o700))
	lease := understudy.Lease{Deadline: func() time.Time { return time.Now().Add(time.Minute) }}
	away = true
	wants(t, "US702", w.DiscardLedger(context.Background(), "op-1", []understudy.Site{east}, lease))
	away = false
	for range 2 {
		must(t, w.DiscardLedger(t.Context(), "op-1", []understudy.Site{east}, lease))
	}
	if _, err := os.Stat(kept); !os.IsNotExist(err) {
		t.Errorf("the quarantine is there: %v", err)
	}
}
