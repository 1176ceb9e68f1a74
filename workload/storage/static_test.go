package storage_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// TestAStaticSecondary has a secondary on demand whose cluster is always there: nobody is asked to make or remove it, and no provisioner is there who
// could. It is looked at between runs, takes over, and is left as it is.
func TestAStaticSecondary(t *testing.T) {
	s := &stagehand{pair: newPair(t)}
	s.spec.Architecture = understudy.OnDemandSecondary
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	s.p = controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: s.open.DataDir,
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: s.spec.Sites, Workloads: []workload.Planned{{
			Spec: s.spec, OnFailure: understudy.Stop, Schedule: every, Provisioners: map[understudy.Site]understudy.ProvisionerName{west: "static"},
		}}},
	})
	s.p.Apply()
	there := func() {
		t.Helper()
		st, err := s.p.Status(t.Context(), "contoso")
		must(t, err)
		f, err := s.p.Doctor(t.Context(), "contoso")
		must(t, err)
		if n := st.Workloads[0].Clusters; len(n) != 0 || f.Workloads[0].Sites[west].Presence != workload.Present {
			t.Errorf("clusters that somebody makes: %+v; west is %+v", n, f.Workloads[0].Sites[west])
		}
	}
	there()
	s.protected()
	there()
	s.do(understudy.Replicate, control.Committed)
	must(t, s.same(t.Context()))
	there()
	s.loses()
	s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	s.writes(west, 3)
	s.do(understudy.Commit, control.Committed)
	must(t, s.back())
	s.rest()
	s.do(understudy.Reprotect, control.Committed)
	s.do(understudy.Failback, control.CommitWindow)
	s.do(understudy.Commit, control.Committed)
	s.rest()
	must(t, s.same(t.Context()))
	there()
}
