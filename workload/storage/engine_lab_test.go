package storage

import (
	"context"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
	"github.com/understudy-dr/understudy/workload"
)

// TestKerberizedYARNIsRefused asks a real ResourceManager that wants Kerberos: doctor refuses the plan before anything is applied, protect
// and runs are refused too, and engine auto leaves it alone.
func TestKerberizedYARNIsRefused(t *testing.T) {
	y := hdfs.BootYARN(t, nil, hdfs.YARNOptions{Kerberos: kerberos.Boot(t, kerberos.Options{})})
	for engine, level := range map[understudy.Engine]string{understudy.DistCp: "refuse", understudy.Auto: "warning"} {
		w, err := open(yarnSpec(engine, y.HTTP()), workload.Opening{ControlPlane: "cp-1"})
		if err != nil {
			t.Fatal(err)
		}
		p := w.planAt(t, understudy.Protect)
		found := w.yarnFindings("west", p.facts.Sites["west"].YARN)
		if len(found) != 1 || found[0].Code != "US660" || found[0].Level != level {
			t.Errorf("%s: findings %+v", engine, found)
		}
		p.checkEngine()
		if refused := p.err != nil; refused != (engine == understudy.DistCp) || refused && understudy.AsError(p.err).Code != "US660" {
			t.Errorf("%s: %v", engine, p.err)
		}
		if _, err := w.yarn["west"].client.NewApplication(context.WithoutCancel(t.Context())); understudy.AsError(err).Code != "US660" {
			t.Errorf("a submission: %v", err)
		}
	}
}
