package spec

import (
	"strings"

	"github.com/understudy-dr/understudy/workload"
)

// Init gives the text of a first site and plan file for a kind, with comments, for `understudy init`. It is valid as it stands.
func Init(k workload.Kind) string {
	return strings.NewReplacer(
		"{east}", movedIn("  ", k.Starter.East), "{west}", movedIn("  ", k.Starter.West), "{workload}", strings.TrimLeft(movedIn("    ", k.Starter.Workload), " "),
	).Replace(starter)
}

// movedIn moves every line that holds something in by a margin.
func movedIn(margin, text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if line != "" {
			line = margin + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// starter is what is the same for all kinds.
const starter = `# yaml-language-server: $schema=understudy.schema.json
#
# Sites and plans of understudy. Check this file:     understudy validate -f FILE
# Schema for your editor:                             understudy schema > understudy.schema.json
# Show what applying it would change, then do it:     understudy diff -f FILE; understudy apply -f FILE
#
# A file may hold several documents, separated by lines of ---. Applying replaces only the documents in it.

# A site is one region's clusters. A cluster has the same name at each site.
site: east
clusters:
{east}
---
site: west
clusters:
{west}
---
# A plan is what fails over together.
plan: shop
home: east                  # active at first, and where a failback returns
sites: [east, west]

# Commands to run at stages of an operation, by the names that serve's configuration gives them.
# Stages: check, confirm, freeze, enable, prove, route, unfreeze.
# hooks: { freeze: stop-jobs, route: flip-dns }

# Operations that wait for a second person.
# approvals: [failover]

workloads:
  - {workload}
`
