package spec

import (
	"slices"
	"strings"
)

// nearest gives the allowed word that is most like the given one; empty when none is near enough to be meant.
func nearest(word string, allowed []string) string {
	best, distance := "", max(len(word)/3, 1)+1
	for _, a := range allowed {
		if strings.EqualFold(a, word) {
			return a
		}
		if d := edits(strings.ToLower(word), strings.ToLower(a)); d < distance {
			best, distance = a, d
		}
	}
	if best == "" && !soundsSecret(word) {
		return shortened(word, allowed)
	}
	return best
}

// shortened gives the only allowed word that begins with another, or that the other begins with: what people call it
// for short, or with a word too many. Fewer than three letters say nothing.
func shortened(word string, allowed []string) string {
	const least = 3
	found := ""
	for _, a := range allowed {
		short, long := strings.ToLower(word), strings.ToLower(a)
		if len(short) > len(long) {
			short, long = long, short
		}
		if len(short) < least || !strings.HasPrefix(long, short) {
			continue
		}
		if found != "" {
			return ""
		}
		found = a
	}
	return found
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// listed joins the words for a choice: "a, b or c", sorted.
func listed(words []string) string { return joined(words, " or ") }

// allOf joins the words as they all apply: "a, b and c", sorted.
func allOf(words []string) string { return joined(words, " and ") }

func joined(words []string, last string) string {
	w := slices.Sorted(slices.Values(words))
	if len(w) < 2 {
		return strings.Join(w, "")
	}
	return strings.Join(w[:len(w)-1], ", ") + last + w[len(w)-1]
}

// texts turns named strings into plain ones.
func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}
