package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

const (
	east understudy.Site = "east"
	west understudy.Site = "west"
)

// app is the number of the ordinary user who owns the trees.
const app = 12345

// TestConformance holds storage to the contract of workloads, between two directories.
func TestConformance(t *testing.T) { workloadtest.RunScheduled(t, stand) }

// pair is two local stores with two trees each.
type pair struct {
	t    *testing.T
	root map[understudy.Site]string
	spec workload.Spec
	open workload.Opening
	n    atomic.Int64
}

func trees() []string { return []string{"/data/curated", "/jars"} }

func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{t: t, root: map[understudy.Site]string{east: filepath.Join(dir, "east"), west: filepath.Join(dir, "west")}}
	cfg := &storage.Config{Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}}
	for _, tree := range trees() {
		cfg.Trees = append(cfg.Trees, storage.Tree{Path: tree})
		must(t, os.MkdirAll(p.root[east]+tree, 0o755))
		if os.Geteuid() == 0 {
			must(t, os.Chown(p.root[east]+tree, app, app))
		}
	}
	must(t, os.MkdirAll(p.root[west], 0o755))
	// Others get as far as the stores.
	must(t, os.Chmod(dir, 0o755))
	p.spec = workload.Spec{
		Plan: "contoso", Name: "curated", Kind: storage.Name, Architecture: understudy.StandbySecondary, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, RPO: 5 * time.Hour, Config: cfg,
		Clusters: map[understudy.Site]any{east: &storage.Local{Root: p.root[east]}, west: &storage.Local{Root: p.root[west]}},
	}
	p.open = workload.Opening{ControlPlane: "cp-1", DataDir: filepath.Join(dir, "data")}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stand(t *testing.T) workloadtest.Harness {
	p := newPair(t)
	return workloadtest.Harness{
		Kind: storage.Kind(), Spec: p.spec, Opening: p.open, Write: p.write, Refused: p.refused, Same: p.same, Damage: p.damage, Lose: p.lose,
	}
}

// write makes new files and rewrites one, in each tree, as understudy's user may anywhere.
func (p *pair) write(_ context.Context, site understudy.Site, n int) error {
	for range n {
		id := p.n.Add(1)
		tree := trees()[id%2]
		for name, content := range map[string]string{
			fmt.Sprintf("d%d/f%d", id%3, id): fmt.Sprintf("content of %d", id),
			"latest":                         fmt.Sprintf("the %dth", id),
		} {
			path := filepath.Join(p.root[site]+tree, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
				return err
			}
		}
	}
	return nil
}

// refused has the owner of the trees try to write.
func (p *pair) refused(_ context.Context, site understudy.Site) (bool, error) {
	for _, tree := range trees() {
		err := local.TryCreate(p.root[site]+tree, "mine", app)
		if errors.Is(err, errors.ErrUnsupported) {
			return true, nil
		}
		if !errors.Is(err, fs.ErrPermission) {
			return false, err
		}
	}
	return true, nil
}

// same compares the trees of both sites but for their roots' own look.
func (p *pair) same(context.Context) error {
	for _, tree := range trees() {
		a, b := content(p.root[east]+tree), content(p.root[west]+tree)
		if a != b {
			return fmt.Errorf("%s: east has\n%swest has\n%s", tree, a, b)
		}
	}
	return nil
}

// content writes a tree as text.
func content(root string) string {
	var out bytes.Buffer
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %s", strings.TrimPrefix(path, root), info.Mode())
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			fmt.Fprintf(&out, " %q %v %v", b, info.ModTime().Truncate(time.Millisecond).UTC(), err)
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

// damage changes a file behind everybody's back, with its times.
func (p *pair) damage(_ context.Context, site understudy.Site, how workloadtest.Damage) error {
	path := p.root[site] + "/jars/latest"
	switch how {
	case workloadtest.Extra:
		return os.WriteFile(path+".extra", []byte("extra"), 0o644)
	case workloadtest.Missing:
		return os.Remove(path)
	case workloadtest.None:
		return nil
	case workloadtest.Flip:
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[0] ^= 1
	return errors.Join(os.WriteFile(path, b, 0o644), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// lose moves a whole store away.
func (p *pair) lose(_ context.Context, site understudy.Site) (func() error, error) {
	away := p.root[site] + ".away"
	return func() error { return os.Rename(away, p.root[site]) }, os.Rename(p.root[site], away)
}
