package storage

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// mostDifferences is how many differences a verdict names.
const mostDifferences = 100

// Verify holds the target against its manifest, reading every byte unless it is quick, and the source by version, which tells how far it has
// moved on since.
func (w *Workload) Verify(ctx context.Context, scope understudy.Scope) (understudy.Verdict, error) {
	ctx, done := leased(ctx, scope.Lease)
	defer done()
	v := understudy.Verdict{Outcome: understudy.Match, From: scope.From, To: scope.To, At: time.Now()}
	v.Coverage = "every byte of the target against the CRC32C of the published set; the source by size, time and file id"
	if scope.Quick {
		v.Coverage = "both sides by size, time and file id, and all attributes of the target; no content was read"
	}
	for _, t := range w.cfg.Trees {
		if !matches(scope.Shards, t.Path) {
			continue
		}
		v.Shards++
		if err := w.verifyTree(ctx, scope, t.Path, &v); err != nil {
			return v, err
		}
	}
	return v, nil
}

func matches(patterns []string, tree string) bool {
	for _, p := range patterns {
		if re, err := regexp.Compile(`\A(?:` + p + `)\z`); err == nil && re.MatchString(tree) {
			return true
		}
	}
	return len(patterns) == 0
}

// unknown is a tree about which nothing can be said.
func unknown(v *understudy.Verdict, tree, why string) {
	v.Outcome = worse(v.Outcome, understudy.Unknown)
	v.Differences = append(v.Differences, understudy.Difference{Shard: tree, Outcome: understudy.Unknown, Text: why})
}

func (w *Workload) verifyTree(ctx context.Context, scope understudy.Scope, tree string, v *understudy.Verdict) error {
	for _, s := range []understudy.Site{scope.To, scope.From} {
		if w.opening.AbsentByPlan(s) {
			unknown(v, tree, fmt.Sprintf("%s is absent by plan", s))
			return nil
		}
		word, cancel := context.WithTimeout(ctx, firstWord)
		_, err := w.sites[s].Look(word)
		cancel()
		if err != nil {
			unknown(v, tree, fmt.Sprintf("%s does not answer", s))
			return nil
		}
	}
	folders, err := w.at(scope.To, tree).Folders(ctx)
	if err != nil {
		return w.failure(scope.To, tree, "look at understudy's folder of", err)
	}
	folder := newest(folders, func(f place.Folder) bool { return !f.Barred })
	j, err := w.job(ctx, route{From: scope.From, To: scope.To, Folder: folder}, tree, false)
	if err != nil {
		return err
	}
	s, err := w.mover(tree, "verify").Standing(ctx, j)
	switch {
	case err != nil:
		return w.failure(scope.To, tree, "read the standing of", err)
	case s.Published == nil:
		unknown(v, tree, "no set is published")
		return nil
	case s.Shown:
		unknown(v, tree, "a set is being shown now")
		return nil
	}
	c, err := w.mover(tree, "verify").Compare(ctx, j, !scope.Quick, func(d filecopy.Difference) error {
		note(v, tree, understudy.Different, fmt.Sprintf("%s: %s at %s", d.Path.Text(), d.Kind, scope.To))
		return nil
	})
	if err != nil {
		return w.failure(scope.To, tree, "compare", err)
	}
	v.Compared, v.Bytes = v.Compared+c.Compared, v.Bytes+c.Read
	return w.verifySource(ctx, scope, j, tree, v)
}

// verifySource looks how far the source has moved on since the set was captured.
func (w *Workload) verifySource(ctx context.Context, scope understudy.Scope, j filecopy.Job, tree string, v *understudy.Verdict) error {
	from, err := w.at(scope.From, tree).Store(ctx, "", false)
	if err != nil {
		return w.failure(scope.From, tree, "open", err)
	}
	back := filecopy.Job{Name: "verify." + j.Name, Origin: j.Name, Source: j.Target, Target: from, LeaveRoot: true}
	_, err = w.mover(tree, "verify").Compare(ctx, back, false, func(d filecopy.Difference) error {
		note(v, tree, understudy.Lagging, fmt.Sprintf("%s: %s at %s since the set was captured", d.Path.Text(), since(d.Kind), scope.From))
		return nil
	})
	return w.failure(scope.From, tree, "compare", err)
}

// since names a difference of the source in the order of time.
func since(k filecopy.DifferenceKind) string {
	switch k {
	case filecopy.Foreign:
		return "new"
	case filecopy.Missing:
		return "deleted"
	case filecopy.Altered:
		return "changed"
	case filecopy.Restyled:
		return "given other attributes"
	}
	return string(k)
}

func note(v *understudy.Verdict, tree string, o understudy.Outcome, text string) {
	v.Outcome = worse(v.Outcome, o)
	if len(v.Differences) < mostDifferences {
		v.Differences = append(v.Differences, understudy.Difference{Shard: tree, Outcome: o, Text: text})
	}
}

// worse gives the outcome that a person should know of first.
func worse(a, b understudy.Outcome) understudy.Outcome {
	rank := map[understudy.Outcome]int{
		understudy.Match: 0, understudy.Lagging: 1, understudy.Unknown: 2, understudy.SchemaMismatch: 3, understudy.Different: 4,
	}
	if rank[b] > rank[a] {
		return b
	}
	return a
}
