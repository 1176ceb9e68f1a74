package hdfs_test

import (
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
)

// TestPoliciesAreInherited changes the policy of a directory, at the source and above a renamed one, and lets Hadoop's client compare what
// applies to all that lies below. What is inherited stays so at the target.
func TestPoliciesAreInherited(t *testing.T) {
	c := newCourt(t)
	ctx := t.Context()
	for i, n := range []string{"/cold/f", "/cold/sub/h", "/cold/own", "/warm/g"} {
		c.must(c.judge.Put(ctx, c.a, labhdfs.File{Path: c.from + n, Size: 100, Seed: int64(i)}))
	}
	set := func(n, policy string) { c.Helper(); c.must(c.east.client.SetStoragePolicy(ctx, c.from+n, policy)) }
	set("/cold", "COLD")
	set("/cold/own", "COLD")
	set("/warm", "WARM")
	equal := func() {
		c.Helper()
		c.run()
		_, err := c.mover.Compare(ctx, c.job, true, func(d filecopy.Difference) error { c.Errorf("difference: %+v", d); return nil })
		c.must(err)
	}
	equal()
	set("/cold", "WARM")
	equal()
	set("/cold", "COLD")
	equal()
	c.must(c.east.client.Rename(ctx, c.from+"/cold/f", c.from+"/warm/f"))
	c.must(c.east.client.Rename(ctx, c.from+"/cold/sub", c.from+"/warm/sub"))
	equal()
	c.must(c.east.client.UnsetStoragePolicy(ctx, c.from+"/warm"))
	equal()
	// Nothing below has a policy of its own at the target: it follows when the directory's changes there.
	c.must(c.west.client.SetStoragePolicy(ctx, c.to+"/warm", "HOT"))
	dir, err := c.west.client.Stat(ctx, c.to+"/warm")
	c.must(err)
	for _, n := range []string{"/f", "/g", "/sub", "/sub/h"} {
		if below, err := c.west.client.Stat(ctx, c.to+"/warm"+n); err != nil || below.StoragePolicy != dir.StoragePolicy {
			t.Errorf("policy of %s below one of %d: %+v, %v", n, dir.StoragePolicy, below, err)
		}
	}
}
