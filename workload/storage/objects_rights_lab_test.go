package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/versitygw"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// ours is the user as whom understudy acts in a bucket whose policy gives it what docs/running.md lists.
const ours = "labours"

// granted gives the policy of docs/running.md as that of a bucket, without some actions.
func granted(t *testing.T, bucket string, without ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/running.md")
	must(t, err)
	_, doc, _ := strings.Cut(string(text), "```json\n")
	doc, _, _ = strings.Cut(doc, "```")
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(doc, "archive-east", bucket)), &policy))
	for _, s := range policy.Statement {
		s["Principal"] = map[string]any{"AWS": []string{ours}}
		actions, _ := s["Action"].([]any)
		s["Action"] = slices.DeleteFunc(actions, func(a any) bool { return slices.Contains(without, fmt.Sprint(a)) })
	}
	b, err := json.Marshal(policy)
	must(t, err)
	return string(b)
}

// TestKeysMayNoMore lets understudy's keys do what docs/running.md lists, and nothing else: a pair of buckets is protected, changed and compared, with
// files in parts, and what is deleted goes into the quarantine. Without one of the actions it does not.
func TestKeysMayNoMore(t *testing.T) {
	t.Parallel()
	server := versitygw.Boot(t)
	must(t, server.AddUser(t.Context(), ours, ours+"secret"))
	root, err := server.Client(versitygw.AccessKey, versitygw.SecretKey)
	must(t, err)
	s := &shop{addr: server.Addr(), fresh: func(t *testing.T, name, addr string) (things, any) {
		must(t, root.Make(t.Context(), name))
		must(t, root.SetPolicy(t.Context(), name, granted(t, name)))
		return bucket{name, nil, root}, &storage.S3{
			URL: "http://" + addr, Region: versitygw.Region, Bucket: name, Prefix: "lake", Secret: "s3-ours", Fence: "none",
		}
	}}
	p := s.pair(t)
	known := p.open.Secret
	p.open.Secret = func(ctx context.Context, name string) ([]byte, error) {
		if name == "s3-ours" {
			return []byte(ours + ":" + ours + "secret"), nil
		}
		return known(ctx, name)
	}
	p.protectsAndDeletes(root)
}

// protectsAndDeletes ends with a bucket at west from which nothing may be deleted any more.
func (p *objectPair) protectsAndDeletes(root *versitygw.Client) {
	t := p.T
	must(t, p.write(t.Context(), east, 4))
	must(t, p.store[east].put(t.Context(), "lake/jars/large", make([]byte, 17<<20)))
	w, kept := p.opened(), understudy.Keep{}
	obs, err := w.Observe(workload.WithDoctor(t.Context()))
	must(t, err)
	for _, f := range obs.Findings {
		if f.Level == "refuse" || f.Code == "US633" {
			t.Errorf("the doctor finds %+v", f)
		}
	}
	must(t, p.carries(w, "op-1", understudy.Protect, kept, understudy.StageCheck, understudy.StageProvision, understudy.StageCreate, understudy.StageGuard, understudy.StageBootstrap))
	must(t, p.same(t.Context()))
	must(t, p.store[east].remove(t.Context(), "lake/jars/large"))
	must(t, p.store[east].remove(t.Context(), "lake/jars/latest"))
	must(t, p.write(t.Context(), east, 2))
	must(t, p.replicates(w, "op-2", kept))
	must(t, p.same(t.Context()))
	all, err := p.store[west].list(t.Context(), "lake/.jars.understudy/quarantine/")
	must(t, err)
	if len(all) == 0 {
		t.Error("nothing is in the quarantine")
	}
	name := p.spec.Clusters[west].(*storage.S3).Bucket
	must(t, root.SetPolicy(t.Context(), name, granted(t, name, "s3:DeleteObject")))
	must(t, p.store[east].remove(t.Context(), "lake/jars/latest"))
	if err := p.replicates(w, "op-3", kept); err == nil {
		t.Error("a run that may not delete ended well")
	}
}

// carries runs stages of a verb from east to west, under the name of an operation.
func (p *objectPair) carries(w workload.Workload, op understudy.OperationID, v understudy.Verb, kept understudy.Keep, names ...understudy.StageName) error {
	role := understudy.Role{}.Promoted(east)
	return p.stages(w, understudy.Stage{Operation: op, Verb: v, Before: role, Now: role, Kept: kept}, func(_ understudy.Step, r understudy.Receipt) {
		maps.Copy(kept, r.Keep)
	}, names...)
}

// stages runs stages from east to west, of which the given one says the rest, and shows what each step gave.
func (p *objectPair) stages(w workload.Workload, s understudy.Stage, see func(understudy.Step, understudy.Receipt), names ...understudy.StageName) error {
	s.Workload, s.Plan, s.ControlPlane, s.After, s.Old, s.To = "curated", "contoso", "cp-1", s.Now, east, west
	run := understudy.Run{
		Operation: s.Operation, Verb: s.Verb, ControlPlane: s.ControlPlane, Now: s.Now,
		Lease: understudy.Lease{Deadline: func() time.Time { return time.Now().Add(time.Minute) }},
		Role:  func(context.Context) (understudy.Role, error) { return s.Now, nil },
	}
	for _, s.Name = range names {
		obs, err := w.Observe(p.Context())
		must(p.T, err)
		steps, err := w.Decide(s, obs)
		if err != nil {
			return err
		}
		for _, step := range steps {
			r, err := w.Do(p.Context(), step, run)
			if err != nil {
				return err
			}
			see(step, r)
		}
	}
	return nil
}

// replicates makes one run.
func (p *objectPair) replicates(w workload.Workload, op understudy.OperationID, kept understudy.Keep) error {
	return p.carries(w, op, understudy.Replicate, kept, understudy.StageCheck, understudy.StageProvision, understudy.StageCapture, understudy.StageCopy,
		understudy.StageProve, understudy.StagePublish, understudy.StageRelease)
}
