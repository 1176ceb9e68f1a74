package kafka

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// overlap refuses two workloads of which the same topics of one cluster are sure to be part: patterns that are
// equal, and a topic named by one that the other matches. Patterns that may or may not share a topic pass here; such
// a topic is refused at protect.
func overlap(a, b workload.Spec) *workload.FieldError {
	site, shared := sharedCluster(a, b)
	one, ok1 := a.Config.(*Config)
	two, ok2 := b.Config.(*Config)
	if !shared || !ok1 || !ok2 {
		return nil
	}
	mine, err1 := newMatcher(one)
	theirs, err2 := newMatcher(two)
	if err1 != nil || err2 != nil {
		return nil // said elsewhere
	}
	for i, p := range one.Topics {
		equal := slices.Contains(two.Topics, p) && slices.Equal(one.Exclude, two.Exclude)
		if equal || isName(p) && mine.topic(p) && theirs.topic(p) {
			return overlapping(i, p, site, b)
		}
	}
	for _, p := range two.Topics {
		if !isName(p) || !theirs.topic(p) {
			continue
		}
		if i := slices.IndexFunc(mine.topics, func(re *regexp.Regexp) bool { return re.MatchString(p) }); i >= 0 && mine.topic(p) {
			return overlapping(i, one.Topics[i], site, b)
		}
	}
	return nil
}

func overlapping(i int, pattern string, site understudy.Site, other workload.Spec) *workload.FieldError {
	return &workload.FieldError{Path: fmt.Sprintf("topics[%d]", i), Err: &understudy.Error{
		Code: "US133", Kind: understudy.KindInvalid, Op: "kafka.validate",
		Summary: fmt.Sprintf("%q shares topics with workload %s/%s on the same cluster at %s", pattern, other.Plan, other.Name, site),
		Why:     "two workloads would fence, change and promote one topic against each other",
		Fix:     "leave the topics out of one of them with exclude",
	}}
}

// isName says whether a pattern can be read as the name of one topic.
func isName(p string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`).MatchString(p)
}

// sharedCluster gives a site at which both have the same cluster: one broker in common tells.
func sharedCluster(a, b workload.Spec) (understudy.Site, bool) {
	for _, s := range a.Sites {
		x, ok1 := a.Clusters[s].(*Endpoint)
		y, ok2 := b.Clusters[s].(*Endpoint)
		if ok1 && ok2 && slices.ContainsFunc(x.Brokers, func(addr string) bool { return slices.Contains(y.Brokers, addr) }) {
			return s, true
		}
	}
	return "", false
}
