package etcd

import (
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// TestControlOnEtcdWithLargeValues runs operations whose lists of steps, receipts and memory are larger than etcd
// takes in one request: on the embedded one, and on a server of its own with etcd's default limits.
func TestControlOnEtcdWithLargeValues(t *testing.T) {
	embedded, err := OpenEmbedded(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, embedded)
	remote := openEndpoints(t, startServer(t), "/dr")
	for name, j := range map[string]*Journal{"embedded": embedded, "endpoints": remote} {
		t.Run(name, func(t *testing.T) {
			world := workloadtest.NewWorld("east", "west")
			registry, plan := workloadtest.WordyEstate(world, "east", "west")
			p := controltest.Start(t, controltest.Setup{
				Registry: registry, Plan: plan, DataDir: t.TempDir(),
				Options: func(o *control.Options) { o.Journal, o.Lease = j, 30*time.Second },
			})
			p.Apply()
			if err := world.Write("east", "a", "v"); err != nil {
				t.Fatal(err)
			}
			p.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
			op := p.Do(control.StartRequest{Verb: understudy.Switchover}, control.CommitWindow)
			p.Do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
			if r, err := p.Report(t.Context(), op.ID); err != nil || len(r.Stages) == 0 {
				t.Errorf("%d stages, %v", len(r.Stages), err)
			}
			p.Stop()
		})
	}
}
