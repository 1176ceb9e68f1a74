package storage

import (
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// findings are what a person should know about a site that answers.
func (w *Workload) findings(site understudy.Site, s siteFacts) []workload.Finding {
	var out []workload.Finding
	find := func(level string, code understudy.Code, tree, summary, fix string) {
		out = append(out, workload.Finding{Code: code, Level: level, Object: w.object(site, tree), Summary: summary, Fix: fix})
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
	return out
}
