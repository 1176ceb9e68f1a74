package storage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// maxSkew is how far clocks may be apart.
const maxSkew = 30 * time.Second

// scarce is the share of a quota, in percent, below which a person should know.
const scarce = 10

func isScarce(left, of int64) bool { return float64(left)*100 < float64(of)*scarce }

// judgeQuota says what is left of a quota.
func judgeQuota(q place.Quota) (level, text string) {
	level = "ok"
	var parts []string
	if q.Names >= 0 {
		parts = append(parts, fmt.Sprintf("%d of %d names", q.NamesLeft, q.Names))
		if isScarce(q.NamesLeft, q.Names) {
			level = "warning"
		}
	}
	if q.Space >= 0 {
		parts = append(parts, fmt.Sprintf("%s of %s, which hold %s of files with %d replicas", amount(q.SpaceLeft), amount(q.Space), amount(q.SpaceLeft/int64(q.Replicas)), q.Replicas))
		if isScarce(q.SpaceLeft, q.Space) {
			level = "warning"
		}
	}
	return level, fmt.Sprintf("%s has a quota; left are %s", q.Path, strings.Join(parts, ", and "))
}

// findings are what a person should know about a site that answers.
func (w *Workload) findings(site understudy.Site, s siteFacts) []workload.Finding {
	var out []workload.Finding
	find := func(level string, code understudy.Code, tree, summary, fix string) {
		out = append(out, workload.Finding{Code: code, Level: level, Object: w.object(site, tree), Summary: summary, Fix: fix})
	}
	id := s.Identity
	if id.Skew > maxSkew || id.Skew < -maxSkew {
		find("warning", "US716", "", fmt.Sprintf("the store's clock is about %s from ours: times of files and of quarantines are read wrongly", id.Skew.Round(time.Second)), "set both clocks by NTP")
	}
	if len(id.Unreachable) > 0 {
		find("warning", "US718", "", fmt.Sprintf("%d of %d DataNodes accept no connection from here: %s", len(id.Unreachable), id.Nodes, some(id.Unreachable)),
			"open the DataNodes' data port to understudy, or set hostnames: true where they registered with addresses of an inner network")
	}
	if id.Untried > 0 {
		find("warning", "US739", "", fmt.Sprintf("%d of %d DataNodes were not tried to the end before the time for one look was over: nothing is known of them", id.Untried, id.Nodes),
			"mend those that accept no connection first, and look again: each of them takes two seconds")
	}
	if len(id.Dead) > 0 {
		find("warning", "US718", "", fmt.Sprintf("the NameNode misses %d DataNodes: %s", len(id.Dead), some(id.Dead)), "start them")
	}
	if id.Unlooked {
		find("warning", "US739", "", fmt.Sprintf("neither DataNodes nor the clock were looked at: the NameNode tells of them to superusers only, and understudy runs as %s", id.User),
			"make understudy's user a superuser of the store, or watch both by other means")
	}
	if id.Writer != "" {
		find("warning", "US726", "", "the ordinary writer cannot act, so no refused write can prove a fence: "+id.Writer,
			"name one under writer in the site file, with Kerberos its principal and keytab; it needs no rights")
	}
	for _, n := range id.Notes {
		find(n.Level, n.Code, "", n.Summary, n.Fix)
	}
	for _, t := range s.Trees {
		if t.Unfit != "" {
			find("refuse", "US618", t.Path, t.Unfit, unfitFix)
		}
		if summary, fix := unfenced(t.Root); summary != "" {
			find("warning", "US731", t.Path, summary, fix)
		}
		if t.stamp != nil && t.stamp.ControlPlane == w.opening.ControlPlane && (t.stamp.Plan != w.spec.Plan || t.stamp.Workload != w.spec.Name) {
			find("refuse", "US703", t.Path, fmt.Sprintf("the tree belongs to workload %s/%s", t.stamp.Plan, t.stamp.Workload), "leave it out here, or unprotect that workload first")
		}
		if t.There && !s.Identity.Super && t.Root.Owner != "" && t.Root.Owner != s.Identity.User {
			find("refuse", "US705", t.Path, fmt.Sprintf("the root belongs to %s, and understudy runs as %s, who may not close it", t.Root.Owner, s.Identity.User),
				rightsFix)
		}
		for _, q := range t.Quotas {
			level, text := judgeQuota(q)
			find(level, "US721", t.Path, text, fmt.Sprintf("hdfs dfsadmin -setQuota N %s, -setSpaceQuota N %s; or make room", q.Path, q.Path))
		}
		if t.Snapshots == "on" && !s.Identity.Super {
			find("warning", "US740", t.Path, "each run away from here asks for the blocks of every file of the tree: the NameNode lists open files to superusers only",
				"make understudy's user a superuser of the store")
		}
		if t.Snapshots == "off" && !s.Identity.Super {
			find("warning", "US715", t.Path, "the root is not snapshottable: each run lists the whole tree, and its files are of slightly different moments", t.allowFix())
		}
	}
	return append(out, w.yarnFindings(site, s.YARN)...)
}

// allowFix is what a superuser is to do so that the root becomes snapshottable where understudy is none, and may not see what stands in the way.
func (t treeFacts) allowFix() string {
	allow := "hdfs dfsadmin -allowSnapshot " + t.Path
	if len(t.Nested) > 0 {
		_, fix := t.nesting()
		return fix + "; then " + allow
	}
	return allow + "; where HDFS refuses that, `hdfs lsSnapshottableDir`, run by a superuser, shows the directory above or below it that is snapshottable: the NameNode tells understudy of its own ones only"
}

// nesting says why a root cannot become snapshottable, and what to do about it; empty for nothing.
func (t treeFacts) nesting() (summary, fix string) {
	if len(t.Nested) == 0 || t.Snapshots == "on" {
		return "", ""
	}
	other, where, trees := t.Nested[0], "below", "trees that do not hold it"
	if place.Holds(other, t.Path) {
		where, trees = "above", "a tree that does not lie in it, or that is this directory itself"
	}
	more := ""
	if n := len(t.Nested) - 1; n > 0 {
		more = fmt.Sprintf("; %d more are in the way", n)
	}
	return fmt.Sprintf("%s, %s the root, is snapshottable, and HDFS nests no such directories: the root cannot be made snapshottable%s", other, where, more),
		fmt.Sprintf("delete the snapshots of %s (`hdfs dfs -ls %s/.snapshot`, `hdfs dfs -deleteSnapshot %s NAME`) if nobody needs them, and run `hdfs dfsadmin -disallowSnapshot %s`; or plan %s",
			other, strings.TrimSuffix(other, "/"), other, other, trees)
}

// nested are findings about roots of which understudy, a superuser, could take no snapshot when it had to: at the side that is copied from a run would be
// refused, and at any other one the first run after it has become that.
func (w *Workload) nested(f *facts, from understudy.Site) []workload.Finding {
	var out []workload.Finding
	for _, at := range w.siteNames() {
		s := f.Sites[at]
		for _, t := range s.Trees {
			summary, fix := t.nesting()
			if summary == "" || !s.Identity.Super {
				continue
			}
			level := "refuse"
			if at != from {
				level, summary = "warning", summary+", as it has to be once this side is copied from"
			}
			out = append(out, workload.Finding{Code: "US715", Level: level, Object: w.object(at, t.Path), Summary: summary, Fix: fix})
		}
	}
	return out
}

// givingFix is what to do about files that cannot be given to their owners.
const givingFix = "make understudy's user there a superuser of the store (dfs.permissions.superusergroup); or, where its own name may own the files, map theirs to it by principals"

// ungiven says why a site's mover could not give a tree to whom it belongs; empty when it can. A store that knows no owners keeps them beside it.
func ungiven(id place.Identity, t treeFacts, want image) string {
	if id.Super || t.Root.gated() || want.gated() || want.Owner == "" || want.Owner == id.User {
		return ""
	}
	return fmt.Sprintf("the tree belongs to %s, and understudy runs here as %s, who cannot give files to others: after a takeover nobody would get in", want.Owner, id.User)
}

// seenFrom gives the look of a root at a site in the names that another site has for it.
func (w *Workload) seenFrom(to, at understudy.Site, i image) image {
	if to == at {
		return i
	}
	if at != w.spec.Home {
		i = i.named(Principals{turned(w.cfg.Principals.Users), turned(w.cfg.Principals.Groups)}, true)
	}
	return i.named(w.cfg.Principals, to != w.spec.Home)
}

// open gives the site whose trees are open to their users, home before others; empty when none is.
func (w *Workload) open(f *facts) understudy.Site {
	best := understudy.Site("")
	for _, s := range w.siteNames() {
		trees := f.Sites[s].Trees
		open := len(trees) > 0 && !slices.ContainsFunc(trees, func(t treeFacts) bool { return !t.There || t.Closed })
		if open && (best == "" || s == w.spec.Home) {
			best = s
		}
	}
	return best
}

// between are findings about what one site has and another one cannot take.
func (w *Workload) between(f *facts) []workload.Finding {
	from := w.open(f)
	out := w.nested(f, from)
	for _, a := range w.siteNames() {
		for _, b := range w.siteNames() {
			if summary := oneStore(f, a, b); a < b && summary != "" {
				out = append(out, workload.Finding{Code: "US703", Level: "refuse", Object: w.object(b, ""), Summary: summary, Fix: apartFix})
			}
		}
	}
	if from == "" {
		return out
	}
	for _, to := range w.siteNames() {
		s, ok := f.Sites[to]
		if !ok || to == from {
			continue
		}
		for i, t := range s.Trees {
			if summary := ungiven(s.Identity, t, w.seenFrom(to, from, f.Sites[from].Trees[i].Root)); summary != "" {
				out = append(out, workload.Finding{Code: "US738", Level: "refuse", Object: w.object(to, t.Path), Summary: summary, Fix: givingFix})
			}
		}
	}
	return out
}

// apartFix is what to do about two sites that are one.
const apartFix = "correct the site files: one of the two leads to the other's store"

// oneStore says that two sites lead to one store, by two names of it; empty where they do not. What the site files tell is refused without a look, and
// trees in one bucket may be apart by their prefixes.
func oneStore(f *facts, a, b understudy.Site) string {
	one, ok1 := f.Sites[a]
	two, ok2 := f.Sites[b]
	name := one.Identity.Name
	if !ok1 || !ok2 || name != two.Identity.Name || !strings.HasPrefix(name, "hdfs.") && !strings.HasPrefix(name, "local.") {
		return ""
	}
	return fmt.Sprintf("the sites %s and %s are one store (%s), so that each tree would be its own copy", a, b, name)
}

// room is how much more a tree may take, quotas included; negative when it is not known.
func (t treeFacts) room() int64 {
	left := t.Free
	for _, q := range t.Quotas {
		if q.Space < 0 {
			continue
		}
		if below := q.SpaceLeft / int64(max(1, q.Replicas)); left < 0 || below < left {
			left = below
		}
	}
	return left
}

// rooms says for each tree that is copied into whether what may have to be copied has room there.
func (w *Workload) rooms(f *facts) []workload.Finding {
	var out []workload.Finding
	from := w.open(f)
	for _, to := range w.siteNames() {
		s, ok := f.Sites[to]
		if !ok || to == from {
			continue
		}
		for i, t := range s.Trees {
			size := int64(0)
			if from != "" {
				size = f.Sites[from].Trees[i].Size
			}
			if level, text := judgeRoom(t, size); level != "" {
				out = append(out, workload.Finding{Code: "US741", Level: level, Object: w.object(to, t.Path), Summary: text, Fix: roomFix})
			}
		}
	}
	return out
}

const roomFix = "make room, or raise the quota: what a run stages stands beside what is shown"

// judgeRoom holds the room of a tree against the size of its source, or of the set that it shows; an empty level where the room is not known.
func judgeRoom(t treeFacts, size int64) (level, text string) {
	room, published := t.room(), t.Standing.Published
	if size == 0 && published != nil {
		size = published.Bytes
	}
	level, text = "ok", fmt.Sprintf("there is room for %s more, quotas included", amount(room))
	switch {
	case room < 0:
		return "", ""
	case size == 0:
		return level, text + "; how much the tree holds is not known"
	case published == nil && size > room:
		return "warning", fmt.Sprintf("%s; the first run brings the whole tree, %s", text, amount(size))
	case published != nil && isScarce(room, size):
		level = "warning"
	}
	return level, fmt.Sprintf("%s; the tree holds %s", text, amount(size))
}

// unfenced says what a fence of a store that knows no owners and modes would lack; empty for nothing.
func unfenced(root image) (summary, fix string) {
	switch {
	case !root.gated() || root.Gate.State != place.GateNone && root.Gate.Writer:
		return "", ""
	case root.Gate.State == place.GateNone:
		const name = "name the store's means in the site file; without it a switchover away from here is refused, and foreign writes to a secondary show as drift"
		return "nothing keeps ordinary writers out here (F0): " + root.Gate.Means, cmp.Or(root.Gate.Fix, name)
	}
	return "the fence here cannot be proved: the site file names no ordinary writer", "name the secret with a writer's credential under writer"
}
