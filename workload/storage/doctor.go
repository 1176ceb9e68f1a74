package storage

import (
	"cmp"
	"fmt"
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
	if len(id.Dead) > 0 {
		find("warning", "US718", "", fmt.Sprintf("the NameNode misses %d DataNodes: %s", len(id.Dead), some(id.Dead)), "start them")
	}
	if id.Writer != "" {
		find("warning", "US726", "", "the ordinary writer cannot act, so no fence can be proved: "+id.Writer,
			"name one under writer in the site file, with Kerberos its principal and keytab; it needs no rights")
	}
	for _, n := range id.Notes {
		find(n.Level, n.Code, "", n.Summary, n.Fix)
	}
	for _, t := range s.Trees {
		if summary, fix := unfenced(t.Root); summary != "" {
			find("warning", "US731", t.Path, summary, fix)
		}
		if t.stamp != nil && t.stamp.ControlPlane == w.opening.ControlPlane && (t.stamp.Plan != w.spec.Plan || t.stamp.Workload != w.spec.Name) {
			find("refuse", "US703", t.Path, fmt.Sprintf("the tree belongs to workload %s/%s", t.stamp.Plan, t.stamp.Workload), "leave it out here, or unprotect that workload first")
		}
		if t.There && !s.Identity.Super && t.Root.Owner != "" && t.Root.Owner != s.Identity.User {
			find("refuse", "US705", t.Path, fmt.Sprintf("the root belongs to %s, and understudy runs as %s, who may not close it", t.Root.Owner, s.Identity.User),
				"make understudy's user the owner of the root, or a superuser of the store")
		}
		for _, q := range t.Quotas {
			level, text := judgeQuota(q)
			find(level, "US721", t.Path, text, fmt.Sprintf("hdfs dfsadmin -setQuota N %s, -setSpaceQuota N %s; or make room", q.Path, q.Path))
		}
		if t.Snapshots == "off" && !s.Identity.Super {
			find("warning", "US715", t.Path, "the root is not snapshottable: each run lists the whole tree, and its files are of slightly different moments",
				fmt.Sprintf("hdfs dfsadmin -allowSnapshot %s", t.Path))
		}
	}
	return append(out, w.yarnFindings(site, s.YARN)...)
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
