package storage

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// TestDoctorSaysWhatIsWrong looks at sites of which everything is wrong, and of which nothing is.
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	w := &Workload{cfg: &Config{}, spec: workload.Spec{Plan: "contoso", Name: "curated"}}
	quotas := []place.Quota{
		{Path: "/data", Names: 100, NamesLeft: 9, Space: -1, SpaceLeft: -1, Replicas: 3},
		{Path: "/", Names: -1, NamesLeft: -1, Space: 1 << 40, SpaceLeft: 3 << 30, Replicas: 3},
	}
	tree := treeFacts{Quotas: quotas, Path: "/data", There: true, Root: image{Owner: "app", Mode: 0o755}, Snapshots: "off"}
	sick := siteFacts{
		Identity: place.Identity{User: "understudy", Skew: -time.Minute, Nodes: 3, Unreachable: []string{"10.0.0.1:9866"}, Dead: []string{"10.0.0.2:9866"}, Writer: "no key"},
		Trees:    []treeFacts{tree},
	}
	found := map[understudy.Code]int{}
	for _, f := range w.findings("east", sick) {
		found[f.Code]++
		if _, ok := understudy.Explain(f.Code); !ok || f.Fix == "" || f.Summary == "" {
			t.Errorf("finding %+v", f)
		}
	}
	if found["US721"] != 2 || found["US705"] != 1 || found["US715"] != 1 || found["US716"] != 1 || found["US718"] != 2 || found["US726"] != 1 {
		t.Errorf("found %v", found)
	}
	level, text := judgeQuota(quotas[1])
	if level != "warning" || text != "/ has a quota; left are 3 GiB of 1 TiB, which hold 1 GiB of files with 3 replicas" {
		t.Errorf("%s: %s", level, text)
	}
	quotas[0].NamesLeft = 10
	if level, _ := judgeQuota(quotas[0]); level != "ok" {
		t.Errorf("a tenth of the names is left: %s", level)
	}
	tree.Root.Owner, tree.Snapshots, tree.Quotas = "understudy", "on", nil
	sound := siteFacts{Identity: place.Identity{User: "understudy", Nodes: 3}, Trees: []treeFacts{tree}}
	if f := w.findings("east", sound); len(f) != 0 {
		t.Errorf("a sound site: %+v", f)
	}
}

// TestTheTargetNeedsRightsAndRoom refuses before anything is copied.
func TestTheTargetNeedsRightsAndRoom(t *testing.T) {
	w := &Workload{cfg: &Config{}}
	p := &plan{w: w, stage: understudy.Stage{To: "west"}, facts: &facts{Sites: map[understudy.Site]siteFacts{
		"west": {Identity: place.Identity{User: "understudy"}, Trees: []treeFacts{{Path: "/data", There: true, Root: image{Owner: "app"}}}},
	}}}
	p.checkTarget()
	if understudy.AsError(p.err).Code != "US705" {
		t.Errorf("a root of somebody else: %v", p.err)
	}
	j := &job{w: w, step: understudy.Step{Site: "west"}, args: stepArgs{Tree: "/data"}}
	for free, code := range map[int64]understudy.Code{-1: "", 1000: "", 99: "US717"} {
		err := j.room(t.Context(), filecopy.Job{Target: probed{free: free}}, filecopy.Set{CopiedBytes: 100})
		if err == nil && code != "" || err != nil && understudy.AsError(err).Code != code {
			t.Errorf("%d bytes free: %v", free, err)
		}
	}
}

// TestFoldersAreRead tells links' folders from others.
func TestFoldersAreRead(t *testing.T) {
	for name, epoch := range map[string]understudy.RoleEpoch{
		"e1": 1, "e12": 12, "halted-e3": 3, "halted-e3.1": 3, "kept": 0, "e": 0, "e1x": 0, "e-1": 0, "quarantine": 0, "halted-": 0, "e01": 0,
	} {
		if got := folderEpoch(name); got != epoch {
			t.Errorf("%s is of epoch %d, want %d", name, got, epoch)
		}
	}
}

// TestRollingForwardNeedsOneRunInAllTrees is what a failover asks before it shows what is staged.
func TestRollingForwardNeedsOneRunInAllTrees(t *testing.T) {
	set := func(run string, minute int) *filecopy.Set {
		return &filecopy.Set{Run: run, Asked: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC)}
	}
	for _, c := range []struct {
		name  string
		trees []filecopy.Standing
		run   string
		ok    bool
	}{
		{"all ready", []filecopy.Standing{{Published: set("a", 0), Ready: set("b", 6)}, {Ready: set("b", 5)}}, "b", true},
		{"one is shown already", []filecopy.Standing{{Published: set("b", 6)}, {Ready: set("b", 5), Shown: true}}, "b", true},
		{"one is behind", []filecopy.Standing{{Published: set("a", 0)}, {Ready: set("b", 5)}}, "", false},
		{"nothing is ready", []filecopy.Standing{{Published: set("a", 0)}, {Published: set("a", 0)}}, "a", false},
		{"nothing at all", []filecopy.Standing{{}, {}}, "", false},
	} {
		var f siteFacts
		for _, s := range c.trees {
			f.Trees = append(f.Trees, treeFacts{Standing: s})
		}
		p := &plan{stage: understudy.Stage{To: "west"}, facts: &facts{Sites: map[understudy.Site]siteFacts{"west": f}}}
		run, asked, ok := p.forwardable()
		if ok != c.ok || ok && (run != c.run || asked.Minute() != 5) {
			t.Errorf("%s: %q of %s, %v", c.name, run, asked, ok)
		}
	}
}

// TestTheNamesOfARootAreMapped also maps the users and groups of its list.
func TestTheNamesOfARootAreMapped(t *testing.T) {
	p := Principals{Users: map[string]string{"ada": "ada-w", "app": "app-w"}, Groups: map[string]string{"ops": "ops-w"}}
	was := image{Owner: "app", Group: "ops", Mode: 0o750, ACL: []string{"default:group:ops:r-x", "group::r-x", "mask::r-x", "user:ada:rwx", "user:bob:r--", "user:ops:r--"}}
	want := "app-w:ops-w 0750 default:group:ops-w:r-x,group::r-x,mask::r-x,user:ada-w:rwx,user:bob:r--,user:ops:r--"
	now := was.named(p, true)
	if now.String() != want || was.ACL[3] != "user:ada:rwx" || was.named(p, false).String() != was.String() {
		t.Errorf("%s, want %s", now, want)
	}
	if back := now.named(Principals{turned(p.Users), turned(p.Groups)}, true); back.String() != was.String() {
		t.Errorf("back it is %s", back)
	}
}

// probed is a target of which only its room is known.
type probed struct {
	filecopy.Target
	free int64
}

func (p probed) Probe(context.Context) (filecopy.Root, error) {
	return filecopy.Root{Free: p.free}, nil
}
