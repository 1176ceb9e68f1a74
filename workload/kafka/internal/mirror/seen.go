package mirror

import (
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	// seenMark begins the text that is committed with a position on a link's target: the source's position, as last
	// seen, and then the text that the group's members committed on the source.
	seenMark = "understudy:"
	seenEnd  = ";"
)

// Seen takes our note off the text committed with a position: the position last seen on the source, and the text of
// the group's own. Without a note it says so, and all of the text is the group's own.
func Seen(metadata string) (at int64, own string, ok bool) {
	rest, ok := strings.CutPrefix(metadata, seenMark)
	if !ok {
		return 0, metadata, false
	}
	number, own, ok := strings.Cut(rest, seenEnd)
	if !ok {
		return 0, metadata, false
	}
	at, err := strconv.ParseInt(number, 10, 64)
	if err != nil || at < 0 {
		return 0, metadata, false
	}
	return at, own, true
}

// noted puts our note before a group's own text.
func noted(at int64, own string) string {
	return seenMark + strconv.FormatInt(at, 10) + seenEnd + own
}

// bareEqual says whether a position stands already without the note, for which the broker had no room.
func bareEqual(set, now cluster.Committed) bool {
	_, own, _ := Seen(set.Metadata)
	return set.At == now.At && own == now.Metadata && len(own) > roomForNote
}

// roomForNote is the length of a text beside which the note may find no room: offset.metadata.max.bytes is 4096
// unless the owner changed it.
const roomForNote = 4096 - 64
