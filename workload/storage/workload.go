package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// Workload is a set of trees, opened at its sites.
type Workload struct {
	spec    workload.Spec
	cfg     *Config
	opening workload.Opening
	sites   map[understudy.Site]place.Site
	// yarn are the clusters' YARN, where they have one.
	yarn map[understudy.Site]*resources
}

var _ workload.Workload = (*Workload)(nil)

// open makes a workload without connecting anywhere.
func open(spec workload.Spec, o workload.Opening) (*Workload, error) {
	cfg, ok := spec.Config.(*Config)
	if !ok {
		return nil, bug("storage.open", fmt.Sprintf("configuration of type %T", spec.Config))
	}
	w := &Workload{spec: spec, cfg: cfg, opening: o, sites: map[understudy.Site]place.Site{}, yarn: map[understudy.Site]*resources{}}
	for name, e := range spec.Clusters {
		if w.sites[name], ok = site(e, o.Secret, cfg.bare()); !ok {
			return nil, bug("storage.open", fmt.Sprintf("endpoint of type %T", e))
		}
	}
	return w, w.openYARN()
}

// Close ends all connections.
func (w *Workload) Close() error {
	var errs []error
	for _, s := range w.sites {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Replicate is never called: no mover follows the links.
func (w *Workload) Replicate(context.Context, understudy.Assignment, func(understudy.Progress)) error {
	return bug("storage.replicate", "no mover follows a link that is replicated by schedule")
}

func bug(op, text string) *understudy.Error {
	return &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: op, Summary: text}
}

// object names the workload at a site, and a tree of it.
func (w *Workload) object(s understudy.Site, tree string) understudy.Object {
	return understudy.Object{Plan: w.spec.Plan, Workload: w.spec.Name, Site: s, Shard: tree}
}

// at gives a tree at a site.
func (w *Workload) at(s understudy.Site, tree string) place.Tree { return w.sites[s].Tree(tree) }

// siteNames lists the sites that have a store, in the plan's order.
func (w *Workload) siteNames() []understudy.Site {
	return slices.DeleteFunc(slices.Clone(w.spec.Sites), func(s understudy.Site) bool { return w.sites[s] == nil })
}

// live and halted name the folders of a link: what its mover keeps at the target since a role epoch, and the same after the halt.
func live(e understudy.RoleEpoch) string   { return fmt.Sprintf("e%d", e) }
func halted(e understudy.RoleEpoch) string { return fmt.Sprintf("%se%d", haltedPrefix, e) }

// haltedPrefix begins the names of folders of links that were halted.
const haltedPrefix = "halted-"

// folderEpoch reads the epoch of a folder's name; zero for other folders.
func folderEpoch(name string) understudy.RoleEpoch {
	digits, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(name, haltedPrefix), "e"), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || live(understudy.RoleEpoch(n)) != name && !strings.HasPrefix(name, halted(understudy.RoleEpoch(n))) {
		return 0
	}
	return understudy.RoleEpoch(n)
}

// jobName is the mover's name of a link.
func (w *Workload) jobName(from, to understudy.Site) string {
	return fmt.Sprintf("%s.%s.%s.%s", w.spec.Plan, w.spec.Name, from, to)
}

// mover gives the mover of a tree. Purposes that may run at the same time have directories of their own.
func (w *Workload) mover(tree, purpose string) filecopy.Mover {
	sum := sha256.Sum256([]byte(tree))
	return native.New(filepath.Join(w.opening.DataDir, string(Name), string(w.spec.Plan), string(w.spec.Name), hex.EncodeToString(sum[:8]), purpose))
}

// route is a link with the folder in which its mover works.
type route struct {
	From, To understudy.Site
	Folder   string
}

// job makes the mover's job for one tree. Without source it has none.
func (w *Workload) job(ctx context.Context, r route, tree string, source bool) (filecopy.Job, error) {
	j := filecopy.Job{
		Name: w.jobName(r.From, r.To), LeaveRoot: true, Guard: w.cfg.guard(), Limits: w.cfg.limits(),
		Principals: w.cfg.principals(w.spec.Home, r.To), ReadBack: w.cfg.Proof == proofRead,
	}
	var err error
	if j.Target, err = w.at(r.To, tree).Store(ctx, r.Folder, false); err != nil || !source {
		return j, w.failure(r.To, tree, "open", err)
	}
	// What the source keeps of a link that once wrote it tells what both sides hold alike.
	origin, err := w.newestHalted(ctx, r.From, tree)
	if err != nil {
		return j, err
	}
	from, err := w.at(r.From, tree).Store(ctx, origin, true)
	if err != nil {
		return j, w.failure(r.From, tree, "open", err)
	}
	j.Source = from
	if origin == "" {
		return j, nil
	}
	standing, err := w.mover(tree, "run").Standing(ctx, j)
	if err != nil {
		return j, w.failure(r.To, tree, "read the standing of", err)
	}
	if standing.Published == nil || from.Describe().Kind != j.Target.Describe().Kind {
		j.Origin = w.jobName(r.To, r.From)
	}
	return j, nil
}

// newestHalted gives the folder of the last link that showed something in a site's tree, and was halted: one behind it that showed nothing changed nothing
// there. Where none shows anything, or one cannot be read, it is that of the last; empty when there is none.
func (w *Workload) newestHalted(ctx context.Context, s understudy.Site, tree string) (string, error) {
	folders, err := w.at(s, tree).Folders(ctx)
	if err != nil {
		return "", w.failure(s, tree, "look at understudy's folder of", err)
	}
	all := haltedFolders(folders)
	if len(all) == 0 {
		return "", nil
	}
	for _, folder := range all {
		shown, err := w.showing(ctx, s, tree, folder)
		switch {
		case err == nil && !shown:
		case err == nil || passable(ctx, err):
			// Who reads it says what is wrong.
			return folder, nil
		default:
			return "", w.failure(s, tree, "read the standing of", err)
		}
	}
	return all[0], nil
}

// haltedFolders lists the folders of halted links, the last link's first. A link has more than one where its halt found the name taken.
func haltedFolders(folders []place.Folder) (names []string) {
	for _, f := range folders {
		if !f.Barred && strings.HasPrefix(f.Name, haltedPrefix) && folderEpoch(f.Name) > 0 {
			names = append(names, f.Name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(folderEpoch(b), folderEpoch(a)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return names
}

// showing says whether the link whose folder this is shows a set in a site's tree, or a part of one, wherever it came from.
func (w *Workload) showing(ctx context.Context, s understudy.Site, tree, folder string) (bool, error) {
	for _, from := range w.siteNames() {
		if from == s {
			continue
		}
		standing, err := w.standing(ctx, route{From: from, To: s, Folder: folder}, tree)
		if err != nil || shows(standing) {
			return true, err
		}
	}
	return false, nil
}

// newest gives the folder of the highest epoch among those that are wanted.
func newest(folders []place.Folder, want func(place.Folder) bool) string {
	best := ""
	for _, f := range folders {
		if e := folderEpoch(f.Name); !f.Barred && e > 0 && want(f) && e > folderEpoch(best) {
			best = f.Name
		}
	}
	return best
}

// isLive says whether a folder is one in which a mover may work.
func isLive(f place.Folder) bool { return !f.Barred && f.Name == live(folderEpoch(f.Name)) }
