package distcp

import (
	"fmt"
	"time"
)

// Engine is who copies.
type Engine string

// The engines, and Auto, which leaves it to Choose.
const (
	Auto   Engine = ""
	Native Engine = "native"
	DistCp Engine = "distcp"
)

// Question is what the choice between the engines goes by. A zero rate means the default.
type Question struct {
	// Wanted is what the plan says; Auto leaves it to what follows.
	Wanted Engine
	// Files and Bytes are to be copied.
	Files int64
	Bytes int64
	// Link is what the way between the clusters carries, MemberBytes and MemberFiles what one member of ours moves, MapBytes and
	// MapFiles what one map does, each in a second; Maps are side by side.
	Link        int64
	MemberBytes int64
	MemberFiles float64
	MapBytes    int64
	MapFiles    float64
	Maps        int
	// Start is what YARN takes before the first map runs.
	Start time.Duration
	// Least is how long our own mover may take in any case, before YARN is worth its trouble.
	Least time.Duration
}

// The defaults, from runs against real servers on small machines: a member's DataNodes and NameNode bound it before it does itself.
const (
	memberBytes = 100 << 20
	memberFiles = 150
	mapBytes    = 50 << 20
	mapFiles    = 5
	mapsDefault = 20
	startTime   = time.Minute
	leastTime   = 10 * time.Minute
)

func (q Question) filled() Question {
	set := func(v *int64, to int64) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&q.MemberBytes, memberBytes)
	set(&q.MapBytes, mapBytes)
	if q.MemberFiles <= 0 {
		q.MemberFiles = memberFiles
	}
	if q.MapFiles <= 0 {
		q.MapFiles = mapFiles
	}
	if q.Maps <= 0 {
		q.Maps = mapsDefault
	}
	if q.Start <= 0 {
		q.Start = startTime
	}
	if q.Least <= 0 {
		q.Least = leastTime
	}
	return q
}

// Choose says which engine copies, and why. It is pure. DistCp is chosen where the plan says so, or where our own mover would take long
// and more hands make it clearly faster: many maps do not help when the link is the limit.
func Choose(q Question) (Engine, string) {
	q = q.filled()
	switch q.Wanted {
	case Native:
		return Native, "the plan says native"
	case DistCp:
		if q.Files == 0 {
			return Native, "the plan says distcp, and there is no file to copy"
		}
		return DistCp, "the plan says distcp"
	case Auto:
	}
	ours := estimate(q.Files, q.Bytes, q.MemberFiles, limited(q.MemberBytes, q.Link), 0)
	theirs := estimate(q.Files, q.Bytes, q.MapFiles*float64(q.Maps), limited(q.MapBytes*int64(q.Maps), q.Link), q.Start)
	figures := fmt.Sprintf("%d files of %d bytes take our own mover about %v, and %d maps about %v", q.Files, q.Bytes, ours, q.Maps, theirs)
	switch {
	case ours <= q.Least:
		return Native, fmt.Sprintf("%s: below %v YARN is not worth its trouble", figures, q.Least)
	case theirs*5 > ours*4:
		if q.Link > 0 && q.Link <= q.MemberBytes {
			return Native, fmt.Sprintf("%s: the link is the limit, at %d bytes per second", figures, q.Link)
		}
		return Native, figures + ": that is not clearly faster"
	}
	return DistCp, figures
}

// limited gives the lower of a rate and what the link carries, as far as known.
func limited(rate, link int64) int64 {
	if link > 0 {
		return min(rate, link)
	}
	return rate
}

// estimate gives a time to whole seconds. Calls and bytes overlap, so the slower of the two counts.
func estimate(files, bytes int64, filesRate float64, bytesRate int64, start time.Duration) time.Duration {
	seconds := max(float64(files)/filesRate, float64(bytes)/float64(bytesRate))
	return (start + time.Duration(seconds*float64(time.Second))).Round(time.Second)
}
