package hdfs_test

import (
	"fmt"
	"slices"
	"strings"
)

// each gives a figure of every round.
func (w row) each(of func(round) float64) []float64 {
	var all []float64
	for _, one := range w.rounds {
		all = append(all, of(one))
	}
	return all
}

// faster is how many times less time we took.
func (w row) faster() []float64 {
	return w.each(func(o round) float64 { return o.theirs.took.Seconds() / o.ours.took.Seconds() })
}

// dearer is our share of their processor time, with all servers.
func (w row) dearer() []float64 {
	return w.each(func(o round) float64 { return o.ours.cpu().Seconds() / o.theirs.cpu().Seconds() })
}

func (w row) calls() []float64 { return w.each(func(o round) float64 { return o.ours.perFile() }) }

// verdict says whether what we want is reached.
func (w row) verdict() string {
	if middle(w.faster()) < w.least || w.cheaper && middle(w.dearer()) > 1 {
		return "**no**"
	}
	return "yes"
}

// table gives all rows as the documents have them.
func table(rows []row) string {
	var t strings.Builder
	t.WriteString("\n| set | beside | rounds | ours | theirs | times faster | wanted | our CPU : theirs, servers included | calls a file, both NameNodes | reached |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, w := range rows {
		ours := w.each(func(o round) float64 { return o.ours.took.Seconds() })
		theirs := w.each(func(o round) float64 { return o.theirs.took.Seconds() })
		calls := ""
		if w.files > 100 {
			calls = fmt.Sprintf("%.2f", middle(w.calls()))
		}
		fmt.Fprintf(&t, "| %s | %s | %d | %.1f s | %.1f s | **%s** | %g | %s | %s | %s |\n", w.set.name, w.rival.name, len(w.rounds),
			middle(ours), middle(theirs), spreadOf(w.faster()), w.least, spreadOf(w.dearer()), calls, w.verdict())
	}
	t.WriteString("\n")
	return t.String()
}

// spreadOf gives the median, and the least and the most in parentheses.
func spreadOf(all []float64) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", middle(all), slices.Min(all), slices.Max(all))
}

// middle gives the median.
func middle(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
