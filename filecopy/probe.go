package filecopy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ProbeName begins the names of probes: empty files that somebody of ours makes right below a root, and removes at once, to see whether the tree
// may be written.
const ProbeName = ".understudy-probe-"

// A probe's name goes on with the second in which it is made and 16 more digits, all hexadecimal.
const (
	probeTime = 8
	probeMore = 16
)

// NewProbe names a probe that is made at a time. Who makes it may be killed before it is removed: so the name says by itself what it is, and of when.
func NewProbe(now time.Time) string {
	return fmt.Sprintf("%s%0*x%s", ProbeName, probeTime, uint32(now.Unix()), NewID()[:probeMore])
}

// ProbeMade says when a probe of a name was made, by its maker's clock; false for a name that is none of a probe.
func ProbeMade(name string) (time.Time, bool) {
	digits, ok := strings.CutPrefix(name, ProbeName)
	if !ok || len(digits) != probeTime+probeMore || strings.Trim(digits, "0123456789abcdef") != "" {
		return time.Time{}, false
	}
	at, err := strconv.ParseUint(digits[:probeTime], 16, 32)
	return time.Unix(int64(at), 0), err == nil
}

// IsProbe says whether an entry of a tree is a probe that was left behind: by its place, its name and its emptiness. It is nobody's data, so
// movers neither copy it nor take it for somebody's write.
func IsProbe(e Entry) bool {
	_, ok := ProbeMade(string(e.Path))
	return ok && e.Kind == File && e.Size == 0
}
