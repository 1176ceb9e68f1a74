package hdfs

import (
	"fmt"
	"path"
	"strings"
)

// Unexplained gives what edits below a root show that the sets do not account for, of which a tree shows one after the other: a path that is missing
// although the set that is being shown has it, one that is back although that set has none, and one that no set has. A set is given by the paths of
// its files; the first one is what was there before. shown says of an edit that it ends those that show a set.
func Unexplained(before []string, events []Event, root string, sets [][]string, shown func(Event) bool) (out []string) {
	var ends []int64
	known := entries(sets...)
	for _, e := range events {
		if shown(e) {
			ends = append(ends, e.TxID)
		}
		p := e.Path
		if e.Type == "rename" {
			p = e.To
		}
		if inside, ok := strings.CutPrefix(p, root+"/"); ok && (e.Type == "rename" || e.Type == "create") && !known[inside] {
			out = append(out, fmt.Sprintf("%s, which no set has: %+v", inside, e))
		}
	}
	if len(ends) != len(sets)-1 {
		return append(out, fmt.Sprintf("%d sets, of which %d were published", len(sets), len(ends)+1))
	}
	each := make([]map[string]bool, len(sets))
	for i, s := range sets {
		each[i] = entries(s)
	}
	// has is the set to which an edit belongs.
	has := func(tx int64) map[string]bool { return each[min(len(ends), 1+sum(ends, tx))] }
	for _, g := range Gaps(before, events, root) {
		p := strings.TrimPrefix(strings.TrimPrefix(g.Path, root), "/")
		if has(g.From)[p] {
			out = append(out, fmt.Sprintf("a gap: %s", g))
		}
		if g.To != 0 && !has(g.To)[p] {
			out = append(out, fmt.Sprintf("a return: %s", g))
		}
	}
	return out
}

// sum counts the numbers below another one.
func sum(all []int64, below int64) (n int) {
	for _, x := range all {
		if x < below {
			n++
		}
	}
	return n
}

// entries are all paths of sets, with the directories above them and the root.
func entries(sets ...[]string) map[string]bool {
	all := map[string]bool{"": true}
	for _, s := range sets {
		for _, p := range s {
			for ; p != "."; p = path.Dir(p) {
				all[p] = true
			}
		}
	}
	return all
}
