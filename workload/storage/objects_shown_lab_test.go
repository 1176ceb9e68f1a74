package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// site opens a store as the product does.
func (p *objectPair) site(s understudy.Site) place.Site {
	p.Helper()
	switch e := p.spec.Clusters[s].(type) {
	case *storage.S3:
		return place.S3(place.S3Config{
			URL: e.URL, Region: e.Region, Bucket: e.Bucket, Prefix: e.Prefix, Keys: string(e.Secret), Secret: p.open.Secret,
		})
	case *storage.ADLS:
		return place.ADLS(place.ADLSConfig{
			URL: e.URL, Account: adls.AccountName, FileSystem: e.FileSystem, Prefix: e.Prefix, Key: string(e.Secret), Secret: p.open.Secret,
		})
	case *storage.Blob:
		return place.Blob(place.BlobConfig{
			URL: e.URL, Account: azurite.Account, Container: e.Container, Prefix: e.Prefix, Key: string(e.Secret), Secret: p.open.Secret,
		})
	}
	p.Fatalf("%T is no store of these tests", p.spec.Clusters[s])
	return nil
}

// shownInPart fails over when the set of one tree is shown in part, and that of the other is ready, and the primary is lost: that is foretold, and both
// sets are shown from what the target holds.
func shownInPart(t *testing.T, p *objectPair) {
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	plane := controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: t.TempDir(),
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: p.spec.Sites, Workloads: []workload.Planned{{Spec: p.spec, OnFailure: understudy.Stop, Schedule: every}}},
		Options: func(o *control.Options) {
			o.StepBudget, o.Secret = time.Minute, p.open.Secret
		},
	})
	plane.Apply()
	must(t, p.write(t.Context(), east, 6))
	plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	must(t, p.write(t.Context(), east, 4))
	tree := trees()[0]
	must(t, p.store[east].remove(t.Context(), "lake"+tree+"/d2/f2"))
	w, kept := p.opened(), understudy.Keep{}
	for _, stage := range []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve} {
		_, err := p.does(w, understudy.Replicate, stage, kept)
		must(t, err)
	}
	was, want := p.shows(west), p.shows(east)
	// What is deleted comes last.
	err = p.stopsAt("retire")
	if now := p.shows(west)[0]; err == nil || now == was[0] || now == want[0] {
		t.Fatalf("the set is not shown in part: %v\n%s", err, now)
	}
	p.way[east].Cut()
	salvage, halt := foretold(t, plane)
	for i, tree := range trees() {
		if line := "roll " + tree + " forward to the set that run op-1 captured at "; !strings.Contains(salvage, line) || i == 0 && !strings.Contains(halt, "finish the set of "+tree) {
			t.Errorf("a failover would do:\n%s%s", salvage, halt)
		}
	}
	if strings.Count(salvage, "part of it is shown already") != 1 {
		t.Errorf("a failover would do:\n%s", salvage)
	}
	plane.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	for i, now := range p.shows(west) {
		if now != want[i] {
			t.Errorf("west shows\n%sand not\n%s", now, want[i])
		}
	}
}

// stopsAt shows the set of the first tree that is ready in the folder e1 at west, up to the first call of a name.
func (p *objectPair) stopsAt(name string) error {
	p.Helper()
	target := p.site(west)
	defer func() { must(p.T, target.Close()) }()
	store, err := target.Tree(trees()[0]).Store(p.Context(), "e1", false)
	must(p.T, err)
	ctx, stop := context.WithCancel(p.Context())
	defer stop()
	_, err = native.New(p.TempDir()).Finish(ctx, filecopy.Job{Name: "contoso.curated.east.west", LeaveRoot: true, Target: filecopytest.Telling(store, func(call string) {
		if call == name {
			stop()
		}
	})}, nil)
	return err
}

// runsUnder does some stages of a verb under the role of an epoch, and gives what is warned of.
func (p *objectPair) runsUnder(w workload.Workload, e understudy.RoleEpoch, v understudy.Verb, operation understudy.OperationID, stages ...understudy.StageName) (warnings string) {
	p.Helper()
	now := understudy.Role{}.Promoted(east)
	now.Epoch = e
	before := now
	before.Epoch = min(e, 3)
	must(p.T, p.stages(w, understudy.Stage{Operation: operation, Verb: v, Before: before, Now: now}, func(step understudy.Step, r understudy.Receipt) {
		warnings += strings.Join(r.Warnings, "\n")
		if len(r.Proofs) > 0 && !r.Proofs[0].Complete {
			p.Errorf("%s: %+v", step.ID, r.Proofs[0])
		}
	}, stages...))
	return warnings
}

// outlived halts where a link was begun anew while a set of the one before it was half shown, and has shown another one since: the older one is given up, with
// all that it staged.
func outlived(t *testing.T, p *objectPair) {
	w := p.opened()
	must(t, p.write(t.Context(), east, 6))
	p.runsUnder(w, 1, understudy.Replicate, "op-1", append(ready(), understudy.StagePublish)...)
	must(t, p.write(t.Context(), east, 4))
	p.runsUnder(w, 1, understudy.Replicate, "op-2", ready()...)
	if err := p.stopsAt("publish"); err == nil {
		t.Fatal("the set is shown whole")
	}
	must(t, p.write(t.Context(), east, 4))
	p.runsUnder(w, 3, understudy.Replicate, "op-3", append(ready(), understudy.StagePublish)...)
	want := p.shows(east)
	// Decided anew, the halt finds both folders barred.
	for first := range 2 {
		if warnings := p.runsUnder(w, 4, understudy.Failover, "op-4", understudy.StageHalt); strings.Contains(warnings, "half shown in halted-e1 was older") != (first == 0) {
			t.Errorf("the halt warns %q", warnings)
		}
		for i, now := range p.shows(west) {
			if now != want[i] {
				t.Fatalf("after the halt west shows\n%sand not\n%s", now, want[i])
			}
		}
		staged, err := p.store[west].list(t.Context(), "lake/data/.curated.understudy/e1/staging/")
		if err != nil || len(staged) > 0 {
			t.Errorf("still staged: %v, %v", staged, err)
		}
	}
}

// protectedAgain halts the link of a protection that began anew under the role of the one before, whose quarantine is still there.
func protectedAgain(t *testing.T, p *objectPair) {
	w := p.opened()
	run := append(ready(), understudy.StagePublish)
	must(t, p.write(t.Context(), east, 6))
	p.runsUnder(w, 1, understudy.Replicate, "op-1", run...)
	for _, tree := range trees() {
		must(t, p.store[east].remove(t.Context(), "lake"+tree+"/latest"))
	}
	p.runsUnder(w, 1, understudy.Replicate, "op-2", run...)
	if warnings := p.runsUnder(w, 1, understudy.Unprotect, "op-3", understudy.StageHalt, understudy.StageRelease); strings.Count(warnings, "quarantines stay in") != 2 {
		t.Errorf("unprotect warns %q", warnings)
	}
	must(t, p.write(t.Context(), east, 4))
	p.runsUnder(w, 1, understudy.Replicate, "op-4", run...)
	// Decided anew, the halt finds the folder barred.
	for range 2 {
		p.runsUnder(w, 1, understudy.Failover, "op-5", understudy.StageHalt)
	}
	site := p.site(west)
	defer func() { must(t, site.Close()) }()
	for _, tree := range trees() {
		folder, err := site.Tree(tree).Store(t.Context(), "halted-e1", false)
		must(t, err)
		if s, err := native.New(t.TempDir()).Standing(t.Context(), filecopy.Job{Name: "contoso.curated.east.west", Target: folder}); err != nil || s.Published == nil || s.Published.Run != "op-4" {
			t.Errorf("%s: halted-e1 stands at %+v, %v", tree, s.Published, err)
		}
		kept, err := folder.Quarantines(t.Context(), time.Time{})
		aside, err2 := site.Tree(tree).Store(t.Context(), "halted-e1.1", false)
		must(t, errors.Join(err, err2))
		more, err := aside.Quarantines(t.Context(), time.Time{})
		if err != nil || len(kept)+len(more) == 0 {
			t.Errorf("%s: nothing is in quarantine, %v", tree, err)
		}
	}
}

// shows is what a site has in each tree.
func (p *objectPair) shows(s understudy.Site) (out []string) {
	p.Helper()
	for _, tree := range trees() {
		text, err := p.content(p.Context(), s, tree)
		must(p.T, err)
		out = append(out, text)
	}
	return out
}
