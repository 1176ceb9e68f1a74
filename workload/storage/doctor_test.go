package storage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
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
		Identity: place.Identity{User: "understudy", Skew: -time.Minute, Nodes: 3, Untried: 1, Unreachable: []string{"10.0.0.1:9866"}, Dead: []string{"10.0.0.2:9866"}, Writer: "no key", Unlooked: true},
		Trees:    []treeFacts{tree},
	}
	found := map[understudy.Code]int{}
	for _, f := range w.findings("east", sick) {
		found[f.Code]++
		if _, ok := understudy.Explain(f.Code); !ok || f.Fix == "" || f.Summary == "" {
			t.Errorf("finding %+v", f)
		}
	}
	if found["US721"] != 2 || found["US705"] != 1 || found["US715"] != 1 || found["US716"] != 1 || found["US718"] != 2 || found["US726"] != 1 || found["US739"] != 2 {
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
	// Only a superuser is told which files are open.
	if f := w.findings("east", sound); len(f) != 1 || f[0].Code != "US740" || f[0].Level != "warning" {
		t.Errorf("an ordinary mover: %+v", f)
	}
	sound.Identity.Super = true
	if f := w.findings("east", sound); len(f) != 0 {
		t.Errorf("a sound site: %+v", f)
	}
}

// TestDoctorSaysWhetherThereIsRoom holds disks and quotas against what is to come.
func TestDoctorSaysWhetherThereIsRoom(t *testing.T) {
	const gib = 1 << 30
	shown := filecopy.Standing{Published: &filecopy.Set{Bytes: 100 * gib}}
	quota := []place.Quota{{Names: -1, Space: 90 * gib, SpaceLeft: 15 * gib, Replicas: 3}, {Names: 5, NamesLeft: 1, Space: -1, SpaceLeft: -1, Replicas: 3}}
	for _, c := range []struct {
		name        string
		tree        treeFacts
		size        int64
		level, says string
	}{
		{"nobody knows", treeFacts{Free: -1}, gib, "", ""},
		{"the first run fits", treeFacts{Free: 200 * gib}, 100 * gib, "ok", "room for 200 GiB more, quotas included; the tree holds 100 GiB"},
		{"the first run does not fit", treeFacts{Free: 99 * gib}, 100 * gib, "warning", "room for 99 GiB more, quotas included; the first run brings the whole tree, 100 GiB"},
		{"a quota is less than the disks", treeFacts{Free: 200 * gib, Quotas: quota}, 100 * gib, "warning", "room for 5 GiB more"},
		{"a quota alone is known", treeFacts{Free: -1, Quotas: quota}, gib, "ok", "room for 5 GiB more"},
		{"a set is shown", treeFacts{Free: 10 * gib, Standing: shown}, 0, "ok", "the tree holds 100 GiB"},
		{"a set is shown, and little is left", treeFacts{Free: 9 * gib, Standing: shown}, 0, "warning", "the tree holds 100 GiB"},
		{"a tree of unknown size", treeFacts{Free: gib}, 0, "ok", "is not known"},
	} {
		if level, text := judgeRoom(c.tree, c.size); level != c.level || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s: %s", c.name, level, text)
		}
	}
	w := &Workload{cfg: &Config{}, sites: map[understudy.Site]place.Site{"east": place.Local("/a"), "west": place.Local("/b")}}
	w.spec = workload.Spec{Home: "east", Sites: []understudy.Site{"east", "west"}}
	f := w.rooms(&facts{Sites: map[understudy.Site]siteFacts{
		"east": {Trees: []treeFacts{{Path: "/data", There: true, Free: gib, Size: 2 * gib}}},
		"west": {Trees: []treeFacts{{Path: "/data", Free: gib}}},
	}})
	if _, ok := understudy.Explain("US741"); !ok || len(f) != 1 || f[0].Level != "warning" || f[0].Code != "US741" || f[0].Object.Site != "west" || f[0].Fix == "" {
		t.Errorf("found %+v", f)
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

// TestWhoGetsInAfterATakeover refuses a mover who could give the files to nobody, by what doctor and the check of a run see.
func TestWhoGetsInAfterATakeover(t *testing.T) {
	source := treeFacts{Path: "/data", There: true, Root: image{Owner: "app", Group: "etl", Mode: 0o750}}
	target := treeFacts{Path: "/data", There: true, Closed: true, Root: image{Owner: "mover", Group: "etl", Mode: 0o700}}
	bucket := treeFacts{Path: "/data", Root: image{Gate: place.Standing{State: place.GateOpen}}}
	for _, c := range []struct {
		name   string
		id     place.Identity
		target treeFacts
		users  map[string]string
		from   understudy.Site
		ok     bool
	}{
		{"an ordinary mover", place.Identity{User: "mover"}, target, nil, "east", false},
		{"an ordinary mover, and no tree yet", place.Identity{User: "mover"}, treeFacts{Path: "/data"}, nil, "east", false},
		{"a superuser", place.Identity{User: "mover", Super: true}, target, nil, "east", true},
		{"the owner's name is the mover's there", place.Identity{User: "mover"}, target, map[string]string{"app": "mover"}, "east", true},
		{"a store without owners", place.Identity{User: "mover"}, bucket, nil, "east", true},
		{"on the way home", place.Identity{User: "mover"}, target, nil, "west", false},
		{"on the way home, where the mover has the name", place.Identity{User: "mover"}, target, map[string]string{"mover": "app"}, "west", true},
	} {
		to := map[understudy.Site]understudy.Site{"east": "west", "west": "east"}[c.from]
		w := &Workload{cfg: &Config{Trees: []Tree{{Path: "/data"}}, Principals: Principals{Users: c.users}}, sites: map[understudy.Site]place.Site{"east": place.Local("/a"), "west": place.Local("/b")}}
		w.spec = workload.Spec{Plan: "contoso", Name: "curated", Home: "east", Sites: []understudy.Site{"east", "west"}}
		f := &facts{Sites: map[understudy.Site]siteFacts{
			c.from: {Identity: place.Identity{User: "app"}, Trees: []treeFacts{source}}, to: {Identity: c.id, Trees: []treeFacts{c.target}},
		}}
		present := workload.SiteFacts{Presence: workload.Present}
		seen := workload.Observation{Sites: map[understudy.Site]workload.SiteFacts{"east": present, "west": present}}
		p := &plan{w: w, facts: f, seen: seen, stage: understudy.Stage{Old: c.from, To: to}}
		p.checkGiving()
		found := w.between(f)
		if refused := p.err != nil; refused == c.ok || len(found) > 0 == c.ok {
			t.Errorf("%s: refused %v, findings %+v", c.name, p.err, found)
		}
		if !c.ok && (understudy.AsError(p.err).Code != "US738" || found[0].Code != "US738" || found[0].Level != "refuse" || found[0].Object.Site != to) {
			t.Errorf("%s: refused %v, findings %+v", c.name, p.err, found)
		}
		// The old primary is gone: what it looked like is remembered, in the names of home.
		seen.Sites[c.from] = workload.SiteFacts{Presence: workload.Unreachable}
		p = &plan{w: w, facts: f, seen: seen, stage: understudy.Stage{Old: c.from, To: to, Kept: understudy.Keep{keepOpen("/data"): encode(w.seenFrom("east", c.from, source.Root))}}}
		if p.checkGiving(); (p.err != nil) == c.ok {
			t.Errorf("%s, without the old primary: refused %v", c.name, p.err)
		}
	}
}

// TestWhatLetsPeopleIn compares a root with what it is to look like, and says whom that lets in for certain.
func TestWhatLetsPeopleIn(t *testing.T) {
	want := image{Owner: "app", Group: "etl", Mode: 0o750, ACL: []string{"group::r-x", "user:ada:r-x"}}
	all := filecopy.AllFields
	for name, change := range map[string]func(*image){
		"owner": func(i *image) { i.Owner = "mover" }, "group": func(i *image) { i.Group = "supergroup" },
		"mode": func(i *image) { i.Mode = 0o700 }, "list": func(i *image) { i.ACL = []string{"group::r-x"} },
	} {
		now := want
		if now.unlike(want, all) {
			t.Error("a root is unlike itself")
		}
		if change(&now); !now.unlike(want, all) {
			t.Errorf("another %s is not seen", name)
		}
		if now.unlike(want, filecopy.FieldMode) != (name == "owner" || name == "mode") {
			t.Errorf("another %s at a store without groups and lists", name)
		}
	}
	if (image{Owner: "mover", Group: "x", Mode: 0o750}).unlike(image{Mode: 0o750}, all) {
		t.Error("a root of nobody in particular is unlike")
	}
	list := image{Owner: "app", Mode: 0o770, ACL: []string{"user:ada:rwx", "user:bob:r-x"}}
	shut := image{Owner: "app", Mode: 0o550, ACL: list.ACL}
	for user, sure := range map[string]bool{"app": true, "ada": true, "bob": false, "etl": false} {
		if list.lets(user) != sure || shut.lets(user) {
			t.Errorf("%s is let in: %v, and past a mask %v", user, list.lets(user), shut.lets(user))
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

// TestRootsBesideSnapshottableDirectories warns of what will be in the way at a side that is not copied from, and refuses at the one that is: by what
// doctor and the check of a run see.
func TestRootsBesideSnapshottableDirectories(t *testing.T) {
	w := &Workload{cfg: &Config{Trees: []Tree{{Path: "/a/tree"}}}, sites: map[understudy.Site]place.Site{"east": place.Local("/a"), "west": place.Local("/b")}}
	w.spec = workload.Spec{Plan: "p", Name: "w", Home: "east", Sites: []understudy.Site{"east", "west"}}
	for _, c := range []struct {
		name      string
		snapshots string
		super     bool
		nested    []string
		east, fix string
	}{
		{"none", "off", true, nil, "", ""},
		{"above", "off", true, []string{"/a"}, "/a, above the root,", "-disallowSnapshot /a`; or plan a tree that does not lie in it"},
		{"all above", "off", true, []string{"/"}, "/, above the root,", "-ls /.snapshot`"},
		{"below", "off", true, []string{"/a/tree/d/e", "/a/tree/f"}, "/a/tree/d/e, below the root,", "or plan trees that do not hold it"},
		{"the root has become so", "on", true, []string{"/a"}, "", ""},
		{"who lists", "off", false, []string{"/a"}, "", ""},
	} {
		side := siteFacts{Identity: place.Identity{Super: c.super, User: "us"}, Trees: []treeFacts{{Path: "/a/tree", There: true, Snapshots: c.snapshots, Nested: c.nested, Root: image{Owner: "us", Mode: 0o755}}}}
		dark := side
		dark.Trees = []treeFacts{side.Trees[0]}
		dark.Trees[0].Closed = true
		f := &facts{Sites: map[understudy.Site]siteFacts{"east": side, "west": dark}}
		p := &plan{w: w, stage: understudy.Stage{Old: "east", To: "west"}, facts: f, seen: workload.Observation{Sites: map[understudy.Site]workload.SiteFacts{"east": {Presence: workload.Present}}}}
		p.checkSource()
		refused, found := understudy.AsError(p.err), w.between(f)
		if c.east == "" {
			if refused != nil || len(found) != 0 {
				t.Errorf("%s: %v, %+v", c.name, refused, found)
			}
			continue
		}
		if refused == nil || refused.Code != "US715" || !strings.HasPrefix(refused.Summary, c.east) || !strings.Contains(refused.Fix, c.fix) || refused.Object.Site != "east" {
			t.Errorf("%s: the check says %+v", c.name, refused)
		}
		if len(found) != 2 || found[0].Level != "refuse" || found[0].Object.Site != "east" || found[0].Fix != refused.Fix || found[1].Level != "warning" || found[1].Object.Site != "west" {
			t.Errorf("%s: found %+v", c.name, found)
		}
	}
	// Who is no superuser is told of the directory that a superuser meets, where it is understudy's own, and else how to find it.
	ordinary := siteFacts{Identity: place.Identity{User: "us"}, Trees: []treeFacts{{Path: "/a/tree", There: true, Snapshots: "off"}}}
	for nested, want := range map[string]string{"": "lsSnapshottableDir", "/a": "-disallowSnapshot /a`; or plan"} {
		if ordinary.Trees[0].Nested = nil; nested != "" {
			ordinary.Trees[0].Nested = []string{nested}
		}
		f := w.findings("east", ordinary)
		if len(f) != 1 || f[0].Code != "US715" || !strings.Contains(f[0].Fix, want) || !strings.Contains(f[0].Fix, "-allowSnapshot /a/tree") {
			t.Errorf("beside %q: %+v", nested, f)
		}
	}
}

// nesting is a tree whose root HDFS does not make snapshottable.
type nesting struct {
	place.Snapshots
	others []string
	err    error
}

func (n nesting) Nested(context.Context) ([]string, error) { return n.others, n.err }

// TestADirectoryBecameSnapshottableSinceTheCheck names it where the step fails.
func TestADirectoryBecameSnapshottableSinceTheCheck(t *testing.T) {
	w := &Workload{cfg: &Config{}, spec: workload.Spec{Plan: "p", Name: "w"}}
	j := &job{w: w, step: understudy.Step{Site: "east"}, args: stepArgs{Tree: "/a/tree"}}
	snapshot := w.failure("east", "/a/tree", "allow snapshots of", fmt.Errorf("nested: %w", hdfs.ErrSnapshot))
	for name, c := range map[string]struct {
		at     nesting
		failed error
		code   understudy.Code
	}{
		"above":         {nesting{others: []string{"/a"}}, snapshot, "US715"},
		"gone since":    {nesting{}, snapshot, "US701"},
		"nobody knows":  {nesting{err: hdfs.ErrTimeout}, snapshot, "US701"},
		"another error": {nesting{others: []string{"/a"}}, w.failure("east", "/a/tree", "allow snapshots of", hdfs.ErrTimeout), "US701"},
	} {
		if e := understudy.AsError(j.nested(t.Context(), c.at, c.failed)); e.Code != c.code || (e.Fix == "") != (c.code == "US701") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestDataThatNoDataNodeTakesMayWantProtection names the key of the site file, where the cluster has Kerberos.
func TestDataThatNoDataNodeTakesMayWantProtection(t *testing.T) {
	w := &Workload{cfg: &Config{}, spec: workload.Spec{Plan: "p", Name: "w", Clusters: map[understudy.Site]any{
		"secure": &HDFS{Kerberos: &Kerberos{}}, "plain": &HDFS{}, "bucket": &S3{},
	}}}
	for site := range w.spec.Clusters {
		for _, cause := range []error{hdfs.ErrPipeline, hdfs.ErrNoReplica} {
			e := understudy.AsError(w.failure(site, "/a/tree", "write the stamp of", fmt.Errorf("write: %w", cause)))
			if e.Code != "US701" || strings.Contains(e.Fix, "kerberos.dataProtection") != (site == "secure") {
				t.Errorf("at %s: %+v", site, e)
			}
		}
	}
}
