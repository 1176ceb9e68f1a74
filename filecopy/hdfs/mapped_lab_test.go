package hdfs_test

import (
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// holders says to whom a file belongs, and whom its access control list names.
func (c *court) holders(client *wire.Client, name string) string {
	c.Helper()
	a, err := client.GetACL(c.Context(), name)
	c.must(err)
	out := a.Owner + ":" + a.Group
	for _, e := range a.Entries {
		if e.Name != "" {
			out += fmt.Sprintf(" %s=%d", e.Name, e.Permission)
		}
	}
	return out
}

// TestPrincipalsAreMapped gives files to others at the target, leaves them alone in every later run, and gives them back on
// the way home.
func TestPrincipalsAreMapped(t *testing.T) {
	c := newCourt(t)
	ctx := t.Context()
	c.job.Principals = filecopy.Principals{Users: map[string]string{"ada": "ada.west"}, Groups: map[string]string{"etl": "loaders"}}
	c.must(c.judge.Put(ctx, c.a, labhdfs.File{Path: c.from + "/d/f", Size: 100, Seed: 1}, labhdfs.File{Path: c.from + "/d/g", Size: 100, Seed: 2}))
	for _, n := range []string{"/d", "/d/f"} {
		c.must(c.east.client.SetOwner(ctx, c.from+n, "ada", "etl"))
		c.must(c.east.client.ModifyACL(ctx, c.from+n, []wire.ACLEntry{
			{Kind: wire.ACLUser, Name: "ada", Permission: 7}, {Kind: wire.ACLGroup, Name: "etl", Permission: 5},
		}))
	}
	run := func(what string, copied int64) {
		t.Helper()
		set, err := c.mover.Run(ctx, c.job, nil)
		c.must(err)
		if set.Copied != copied {
			t.Errorf("%s: copied %d, want %d", what, set.Copied, copied)
		}
		for _, n := range []string{"/d", "/d/f"} {
			if got, want := c.holders(c.west.client, c.to+n), "ada.west:loaders ada.west=7 loaders=5"; got != want {
				t.Errorf("%s: %s is %s, want %s", what, n, got, want)
			}
		}
		_, err = c.mover.Compare(ctx, c.job, true, func(d filecopy.Difference) error { return fmt.Errorf("%s: %+v", what, d) })
		c.must(err)
	}
	run("the first set", 2)
	c.must(c.east.client.SetOwner(ctx, c.from+"/d/g", "ada", "etl"))
	run("another owner", 0)
	if got := c.holders(c.west.client, c.to+"/d/g"); got != "ada.west:loaders" {
		t.Errorf("/d/g is %s", got)
	}
	c.job.Repair = true
	run("a repair", 0)
	c.job.Repair, c.job.Relist = false, true
	run("a listing", 0)

	c.must(c.judge.Put(ctx, c.b, labhdfs.File{Path: c.to + "/d/new", Size: 10, Seed: 3}))
	c.must(c.west.client.SetOwner(ctx, c.to+"/d/new", "ada.west", "loaders"))
	home := filecopy.Job{
		Name: "home", Source: c.job.Target, Target: c.job.Source.(filecopy.Target), Origin: c.job.Name, Guard: c.job.Guard,
		Principals: filecopy.Principals{Users: map[string]string{"ada.west": "ada"}, Groups: map[string]string{"loaders": "etl"}},
	}
	_, err := native.New(t.TempDir()).Run(ctx, home, nil)
	c.must(err)
	for name, want := range map[string]string{"/d": "ada:etl ada=7 etl=5", "/d/f": "ada:etl ada=7 etl=5", "/d/g": "ada:etl", "/d/new": "ada:etl"} {
		if got := c.holders(c.east.client, c.from+name); got != want {
			t.Errorf("at home %s is %s, want %s", name, got, want)
		}
	}
}

// TestErasureCodedSource copies files that the source keeps in stripes as plain ones: the same bytes, and nothing twice.
func TestErasureCodedSource(t *testing.T) {
	const policy = "XOR-2-1-1024k"
	c := newCourt(t)
	ctx := t.Context()
	c.must(c.east.client.Mkdirs(ctx, c.from+"/striped", 0o755))
	c.must(c.east.client.EnableErasurePolicy(ctx, policy))
	c.must(c.east.client.SetErasurePolicy(ctx, c.from+"/striped", policy))
	c.must(c.judge.Put(ctx, c.a,
		labhdfs.File{Path: c.from + "/striped/large", Size: 5<<20 + 12345, Seed: 1},
		labhdfs.File{Path: c.from + "/striped/small", Size: 10, Seed: 2},
		labhdfs.File{Path: c.from + "/plain", Size: 3000, Seed: 3}))
	set, err := c.mover.Run(ctx, c.job, nil)
	c.must(err)
	if set.Copied != 3 {
		t.Errorf("copied %d", set.Copied)
	}
	for _, n := range []string{"/striped/large", "/striped/small", "/plain"} {
		a, err := c.east.client.Stat(ctx, c.from+n)
		c.must(err)
		b, err := c.west.client.Stat(ctx, c.to+n)
		c.must(err)
		x, err := c.east.client.Checksum(ctx, c.from+n)
		c.must(err)
		y, err := c.west.client.Checksum(ctx, c.to+n)
		c.must(err)
		if striped := n != "/plain"; (a.ErasureCoding != nil) != striped || b.ErasureCoding != nil || x.CRC32C != y.CRC32C || a.Length != b.Length {
			t.Errorf("%s: in stripes %v and %v, sums %08x and %08x, %d and %d bytes", n, a.ErasureCoding != nil, b.ErasureCoding != nil, x.CRC32C, y.CRC32C, a.Length, b.Length)
		}
	}
	_, err = c.mover.Compare(ctx, c.job, true, func(d filecopy.Difference) error { return fmt.Errorf("%+v", d) })
	c.must(err)
	for _, repair := range []bool{false, true} {
		c.job.Repair = repair
		again, err := c.mover.Run(ctx, c.job, nil)
		c.must(err)
		if again.Copied != 0 {
			t.Errorf("copied again: %+v", again)
		}
	}
}
