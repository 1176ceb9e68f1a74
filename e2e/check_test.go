package e2e_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// newest leaves out what a cleaner may remove from a compacted topic whenever it likes: superseded values.
func newest(c kafka.Contents, compacted string) kafka.Contents {
	last := map[string]int64{}
	for _, r := range c.Records {
		if r.Topic == compacted {
			last[string(r.Key)] = r.Offset
		}
	}
	c.Records = slices.DeleteFunc(slices.Clone(c.Records), func(r kafka.Record) bool {
		return r.Topic == compacted && last[string(r.Key)] != r.Offset
	})
	return c
}

// identical wants both clusters to be the same, record by record and offset by offset, in both isolations.
// Of a compacted topic, the newest values count.
func (e *estate) identical(t *testing.T, compacted string, topics ...string) {
	t.Helper()
	east := newest(e.dump(t, e.east, kafka.ReadCommitted, topics...), compacted)
	west := newest(e.dump(t, e.west, kafka.ReadCommitted, topics...), compacted)
	if d := east.Diff(west, 20); d != nil {
		t.Fatalf("committed: east here, west there:\n%s", strings.Join(d, "\n"))
	}
	// Aborted records are invisible markers on the other side, so only the ends can be the same.
	here, there := e.ranges(t, e.east, kafka.ReadUncommitted, topics...), e.ranges(t, e.west, kafka.ReadUncommitted, topics...)
	if !slices.Equal(here, there) {
		t.Fatalf("uncommitted: ranges %+v in the east, %+v in the west", here, there)
	}
}

// caughtUp waits until the ends of a mirror are those of its source.
func (e *estate) caughtUp(t *testing.T, topics ...string) {
	t.Helper()
	eventually(t, patience, "both sides end at the same offsets", func() error {
		east, west := e.ranges(t, e.east, kafka.ReadCommitted, topics...), e.ranges(t, e.west, kafka.ReadCommitted, topics...)
		for i, r := range east {
			if i >= len(west) || r.End != west[i].End || r.Start != west[i].Start {
				return fmt.Errorf("east %+v, west %+v", east, west)
			}
		}
		return nil
	})
}

// place is where a record stands.
type place struct {
	kafka.Partition
	offset int64
}

func placeOf(r kafka.Record) place {
	return place{kafka.Partition{Topic: r.Topic, Partition: r.Partition}, r.Offset}
}

func ackedAt(a kafka.Ack) place {
	return place{kafka.Partition{Topic: a.Topic, Partition: a.Partition}, a.Offset}
}

// loaded is what became of a load on a topic.
type loaded struct {
	prefix  string
	answers kafka.Answers
}

// numberOf reads the number of a record of the load; false for a record of something else.
func (l loaded) numberOf(key []byte) (int, bool) {
	text, ok := strings.CutPrefix(string(key), l.prefix+"-")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// soundIn wants what stands of the load in a cluster to be of the load: nothing invented, nothing twice, and
// the order kept in each partition. It gives the places by number.
func (l loaded) soundIn(t *testing.T, c kafka.Contents) map[int]place {
	t.Helper()
	sent := map[int]bool{}
	for _, a := range l.answers.Acks {
		n, _ := l.numberOf([]byte(a.Ref))
		sent[n] = true
	}
	for _, r := range l.answers.Refusals {
		n, _ := l.numberOf([]byte(r.Ref))
		sent[n] = true
	}
	found := map[int]place{}
	last := map[kafka.Partition]int{}
	for _, r := range c.Records {
		n, ours := l.numberOf(r.Key)
		if !ours {
			continue
		}
		at := placeOf(r)
		if !sent[n] {
			t.Errorf("invented: %v", r)
		}
		if first, twice := found[n]; twice {
			t.Errorf("twice: %v, first at %+v", r, first)
		}
		if before, any := last[at.Partition]; any && before > n {
			t.Errorf("order: %d before %v", before, r)
		}
		found[n], last[at.Partition] = at, n
	}
	return found
}

// missingFrom lists the acknowledged records that are not at their place.
func (l loaded) missingFrom(found map[int]place) []kafka.Ack {
	var out []kafka.Ack
	for _, a := range l.answers.Acks {
		n, _ := l.numberOf([]byte(a.Ref))
		if found[n] != ackedAt(a) {
			out = append(out, a)
		}
	}
	return out
}

// provenAt wants every record acknowledged up to the claimed moment to be there, and the claimed bound to be no shorter than
// what was lost. It tells how much that was.
func (l loaded) provenAt(t *testing.T, found map[int]place, claimed exposureView) (lost int, span time.Duration) {
	t.Helper()
	missing := l.missingFrom(found)
	if len(missing) == 0 {
		return 0, 0
	}
	first, last := missing[0].Answered, int64(0)
	for _, a := range missing {
		first = min(first, a.Answered)
		// The client's clock has milliseconds: what was answered within the last one may be later.
		if time.UnixMilli(a.Answered).Add(time.Millisecond).Before(claimed.Safe) {
			t.Errorf("acknowledged %v before the claimed safe moment %v and lost: %+v", claimed.Safe.Sub(time.UnixMilli(a.Answered)), claimed.Safe, a)
		}
	}
	for _, a := range l.answers.Acks {
		last = max(last, a.Answered)
	}
	if span = time.Duration(last-first) * time.Millisecond; claimed.Bound < span {
		t.Errorf("claimed exposure %v, realised loss %v", claimed.Bound, span)
	}
	return len(missing), span
}
