package storage

import (
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// maxSkew is how far clocks may be apart.
const maxSkew = 30 * time.Second

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
	for _, t := range s.Trees {
		if t.stamp != nil && t.stamp.ControlPlane == w.opening.ControlPlane && (t.stamp.Plan != w.spec.Plan || t.stamp.Workload != w.spec.Name) {
			find("refuse", "US703", t.Path, fmt.Sprintf("the tree belongs to workload %s/%s", t.stamp.Plan, t.stamp.Workload), "leave it out here, or unprotect that workload first")
		}
		if t.There && !s.Identity.Super && t.Root.Owner != "" && t.Root.Owner != s.Identity.User {
			find("refuse", "US705", t.Path, fmt.Sprintf("the root belongs to %s, and understudy runs as %s, who may not close it", t.Root.Owner, s.Identity.User),
				"make understudy's user the owner of the root, or a superuser of the store")
		}
		if t.Snapshots == "off" && !s.Identity.Super {
			find("warning", "US715", t.Path, "the root is not snapshottable: each run lists the whole tree, and its files are of slightly different moments",
				fmt.Sprintf("hdfs dfsadmin -allowSnapshot %s", t.Path))
		}
	}
	return append(out, w.yarnFindings(site, s.YARN)...)
}
