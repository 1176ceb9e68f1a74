package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// forest is a tree in memory that is listed in small pages.
type forest struct {
	below map[string][]FileInfo
	// flying counts the pages that are asked for at a time, most the most of them.
	flying, most atomic.Int32
	broken       string
}

// grow makes folders with folders and files below a path, and gives all paths in the order of a walk.
func (f *forest) grow(dir string, depth int) []string {
	all := []string{dir}
	for i := range 7 {
		e := FileInfo{Type: TypeFile, Name: fmt.Sprint("n", i), Path: fmt.Sprintf("%s/n%d", dir, i)}
		if depth > 0 && i%3 != 2 {
			e.Type = TypeDirectory
		}
		f.below[dir] = append(f.below[dir], e)
		if e.IsDir() {
			all = append(all, f.grow(e.Path, depth-1)...)
		} else {
			all = append(all, e.Path)
		}
	}
	return all
}

func (f *forest) list(ctx context.Context, dir, after string) (*Listing, error) {
	now := f.flying.Add(1)
	defer f.flying.Add(-1)
	for most := f.most.Load(); now > most && !f.most.CompareAndSwap(most, now); most = f.most.Load() {
	}
	if dir == f.broken {
		return nil, errBroken
	}
	rest := f.below[dir]
	for len(rest) > 0 && rest[0].Name <= after {
		rest = rest[1:]
	}
	n := min(len(rest), 3)
	return &Listing{Entries: slices.Clone(rest[:n]), Remaining: len(rest) - n}, ctx.Err()
}

var errBroken = errors.New("broken")

// TestWalksKeepTheirOrder walks a tree whose folders are listed ahead: everything comes once and in order, a folder that is left out
// stays out, and no more is asked for at a time than a few pages for each level.
func TestWalksKeepTheirOrder(t *testing.T) {
	f := &forest{below: map[string][]FileInfo{}}
	const depth = 3
	want := f.grow("/r", depth)
	top := &FileInfo{Type: TypeDirectory, Path: "/r"}
	var got []string
	err := walkFrom(t.Context(), top, func(i *FileInfo) error { got = append(got, i.Path); return nil }, f.list)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: %d paths of %d, in another order", err, len(got), len(want))
	}
	if most := f.most.Load(); most > (depth+1)*(walkAhead+1) {
		t.Errorf("%d pages were asked for at a time", most)
	}
	got = nil
	err = walkFrom(t.Context(), top, func(i *FileInfo) error {
		if i.Path == "/r/n1" || i.Path == "/r/n3/n4" {
			return fs.SkipDir
		}
		got = append(got, i.Path)
		return nil
	}, f.list)
	want = slices.DeleteFunc(want, func(p string) bool {
		return strings.HasPrefix(p, "/r/n1") || strings.HasPrefix(p, "/r/n3/n4")
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: %d paths without two folders, want %d", err, len(got), len(want))
	}
}

// TestWalksEndWithTheFirstError has a folder that cannot be listed, and a visitor that has seen enough: nothing is asked for when the
// walk has returned.
func TestWalksEndWithTheFirstError(t *testing.T) {
	f := &forest{below: map[string][]FileInfo{}, broken: "/r/n3/n1"}
	f.grow("/r", 2)
	top := &FileInfo{Type: TypeDirectory, Path: "/r"}
	last := ""
	err := walkFrom(t.Context(), top, func(i *FileInfo) error { last = i.Path; return nil }, f.list)
	if !errors.Is(err, errBroken) || last != f.broken || f.flying.Load() != 0 {
		t.Errorf("%v after %s", err, last)
	}
	err = walkFrom(t.Context(), top, func(i *FileInfo) error {
		if i.Path == "/r/n0/n2" {
			return context.Canceled
		}
		return nil
	}, f.list)
	if !errors.Is(err, context.Canceled) || f.flying.Load() != 0 {
		t.Errorf("%v", err)
	}
}
