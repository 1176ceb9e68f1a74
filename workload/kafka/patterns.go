package kafka

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// advise points at patterns that are valid and hardly meant: those that a shell would read in another way.
func advise(s workload.Spec) []workload.FieldError {
	cfg, ok := s.Config.(*Config)
	if !ok {
		return nil
	}
	var out []workload.FieldError
	for _, list := range []struct {
		key      string
		patterns []string
	}{{"topics", cfg.Topics}, {"exclude", cfg.Exclude}, {"groups", cfg.Groups}} {
		for i, p := range list.patterns {
			if again, stem := starred(p); again != "" {
				out = append(out, workload.FieldError{Path: fmt.Sprintf("%s[%d]", list.key, i), Err: &understudy.Error{
					Code: "US105", Kind: understudy.KindInvalid, Op: "kafka.validate",
					Summary: fmt.Sprintf("%q matches names that end in any number of %q, also none, and nothing that goes on otherwise", p, again),
					Why:     "patterns are RE2 expressions that match whole names: * repeats what stands before it",
					Fix:     fmt.Sprintf("write %s.* for every name that begins so; %s{0,} says the same as now, and is not remarked upon", stem, stem),
				}})
			}
		}
	}
	return out
}

// starred gives the character that a pattern, or the last of its alternatives of which that is true, repeats at its end,
// and what stands before the star; empty when it ends otherwise.
func starred(p string) (again, stem string) {
	tree, err := syntax.Parse(p, syntax.Perl)
	if err != nil || len(p) < 2 || p[len(p)-1] != '*' {
		return "", ""
	}
	for tree.Op == syntax.OpConcat || tree.Op == syntax.OpAlternate {
		tree = tree.Sub[len(tree.Sub)-1]
	}
	if tree.Op != syntax.OpStar || tree.Sub[0].Op != syntax.OpLiteral || len(tree.Sub[0].Rune) != 1 {
		return "", ""
	}
	return string(tree.Sub[0].Rune), p[:len(p)-1]
}

// unmatched warns, when a person asks, of patterns of topics by which none is found at any site: a misspelt one protects
// nothing, and while others match nothing else would say so. Nothing is said while a site does not show its topics.
func (w *Workload) unmatched(ctx context.Context, facts *Facts) []workload.Finding {
	if !workload.ForDoctor(ctx) || len(facts.Sites) < len(w.siteNames()) {
		return nil
	}
	var names []string
	for _, s := range facts.Sites {
		names = slices.AppendSeq(names, maps.Keys(s.Topics))
	}
	var out []workload.Finding
	for i, re := range w.match.topics {
		if !slices.ContainsFunc(names, func(n string) bool { return matches([]*regexp.Regexp{re}, n) }) {
			out = append(out, workload.Finding{Code: "US105", Level: "warning", Object: w.object("", ""),
				Summary: fmt.Sprintf("no topic matches the pattern %q", w.cfg.Topics[i]),
				Fix:     "correct it if it should: patterns are RE2 expressions that match whole names, such as orders.*"})
		}
	}
	return out
}
