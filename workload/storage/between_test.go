package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// fickle is a store that speaks when it is asked first, cannot have its trees looked at, and then says something else.
type fickle struct {
	place.Site
	looks     int
	tree, now error
}

func (f *fickle) Look(ctx context.Context) (place.Identity, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return place.Identity{}, errors.New("a look without an end")
	}
	if f.looks++; f.looks > 1 && f.now != nil {
		return place.Identity{}, f.now
	}
	return place.Identity{Name: "hdfs.x", Super: true, Nodes: 1, Dead: []string{"10.0.0.2:9866"}}, nil
}

func (f *fickle) Tree(string) place.Tree { return unopened{err: f.tree} }

// unopened is a tree that cannot be opened.
type unopened struct {
	place.Tree
	err error
}

func (h unopened) Store(context.Context, string, bool) (filecopy.Target, error) { return nil, h.err }

// TestWhoFallsSilentBetweenTwoLooks looks at stores that speak, and of which a tree cannot be looked at right after. Only those that are silent by then count
// as such.
func TestWhoFallsSilentBetweenTwoLooks(t *testing.T) {
	refused := fmt.Errorf("%w: %w", place.ErrUnreachable, syscall.ECONNREFUSED)
	for _, c := range []struct {
		name      string
		tree, now error
		presence  workload.Presence
		code      understudy.Code
		looks     int
	}{
		{"it is gone", refused, refused, workload.Unreachable, "US702", 2},
		{"it hangs", context.DeadlineExceeded, fmt.Errorf("%w: %w", place.ErrUnreachable, context.DeadlineExceeded), workload.Unreachable, "US702", 2},
		{"its mount is gone", syscall.ESTALE, fmt.Errorf("%w: %w", place.ErrUnreachable, syscall.ESTALE), workload.Unreachable, "US702", 2},
		{"a DataNode is gone", refused, nil, workload.Present, "US746", 2},
		{"a DataNode hangs", context.DeadlineExceeded, nil, workload.Present, "US746", 2},
		{"a disk fails", syscall.EIO, nil, workload.Present, "US746", 2},
		{"a handle is stale", syscall.ESTALE, nil, workload.Present, "US746", 2},
		{"an error of another kind says it is away", &understudy.Error{Code: "US600", Kind: understudy.KindUnreachable}, nil, workload.Present, "US746", 2},
		{"an error with a meaning of its own", &understudy.Error{Code: "US612", Kind: understudy.KindBroken}, nil, workload.Present, "US612", 2},
		{"it lets us in no more", refused, fmt.Errorf("%w: other keys", place.ErrTurnedAway), workload.Present, "US725", 2},
		{"another one answers in its place", refused, fmt.Errorf("%w: a certificate", place.ErrDoubtful), workload.Present, "US744", 2},
		{"its own word", fs.ErrPermission, refused, workload.Present, "US705", 1},
		{"a stamp is damaged", errTorn, refused, workload.Present, "US747", 1},
	} {
		f := &fickle{tree: c.tree, now: c.now}
		w := &Workload{cfg: &Config{Trees: []Tree{{Path: "/data"}}}, sites: map[understudy.Site]place.Site{"east": f}}
		w.spec = workload.Spec{Plan: "contoso", Name: "curated", Home: "east", Sites: []understudy.Site{"east"}, Clusters: map[understudy.Site]any{"east": &HDFS{}}}
		obs, err := w.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := obs.Sites["east"]
		if s.Presence != c.presence || s.Error == nil || s.Error.Code != c.code || f.looks != c.looks {
			t.Errorf("%s: after %d looks it is %+v", c.name, f.looks, s)
			continue
		}
		finds := func(code understudy.Code) bool {
			return slices.ContainsFunc(obs.Findings, func(f workload.Finding) bool { return f.Code == code })
		}
		if c.presence == workload.Present && (s.Writable != "unknown" || !finds(c.code)) || finds("US718") != (c.code != "US725" && c.code != "US744" && c.code != "US702") {
			t.Errorf("%s: writable %q, findings %+v", c.name, s.Writable, obs.Findings)
		}
	}
}
