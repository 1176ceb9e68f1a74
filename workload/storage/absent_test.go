package storage_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// TestAbsentSitesAreNotAsked has a secondary that exists only while it is needed.
func TestAbsentSitesAreNotAsked(t *testing.T) {
	p := newPair(t)
	p.spec.Architecture = understudy.OnDemandSecondary
	p.spec.Clusters[west] = &storage.HDFS{Namenodes: []string{"192.0.2.1:8020"}}
	p.open.Absent = func(s understudy.Site) bool { return s == west }
	w := p.opened(t)
	obs, err := w.Observe(t.Context())
	must(t, err)
	if obs.Sites[west].Presence != workload.Absent || obs.Sites[west].Error != nil || obs.Sites[east].Presence != workload.Present {
		t.Errorf("seen: %+v", obs.Sites)
	}
	for _, v := range []understudy.Verb{understudy.Protect, understudy.Replicate, understudy.Switchover} {
		if steps, err := w.Decide(p.stage(v, understudy.StageCheck, nil), obs); err != nil || len(steps) != 0 {
			t.Errorf("%s: %d steps, %v", v, len(steps), err)
		}
	}
	if v, err := w.Verify(t.Context(), understudy.Scope{From: east, To: west, Lease: p.run().Lease}); err != nil || v.Outcome != understudy.Unknown {
		t.Errorf("verify says %+v, %v", v, err)
	}
}
