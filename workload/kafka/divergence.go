package kafka

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// tailWindow is how many offsets below the cut are compared of a topic of which nothing else is suspicious: a log
// that was cut short and written again shows there, because logs lose their ends and nothing else.
const tailWindow = 64

// reach is a divergent range and where to read it.
type reach struct {
	divergedRange
	at cluster.Partition
}

// within says whether the range is part of one of the others.
func (r divergedRange) within(list []divergedRange) bool {
	return slices.ContainsFunc(list, func(o divergedRange) bool { return o.TP == r.TP && o.Start <= r.Start && r.End <= o.End })
}

func plain(list []reach) []divergedRange {
	out := []divergedRange{}
	for _, r := range list {
		out = append(out, r.divergedRange)
	}
	return out
}

// found is what a scan or a ledger leaves behind.
func found(list []reach) scanDetail {
	d := scanDetail{Ranges: plain(list), IDs: map[string]string{}}
	for _, r := range list {
		d.IDs[r.Topic] = hex.EncodeToString(r.at.ID[:])
	}
	return d
}

// gone names the ranges whose head the old primary's own retention removed before they could be saved.
func gone(list []reach) []string {
	var out []string
	for _, r := range list {
		if r.Gone > 0 {
			out = append(out, fmt.Sprintf("%s: %d offsets after the cut, up to %d, were removed by retention before they could be saved", r.TP, r.Gone, r.Start-1))
		}
	}
	return out
}

// partitions counts the partitions that have a range.
func partitions(list []reach) int {
	seen := map[cluster.TP]bool{}
	for _, r := range list {
		seen[r.TP] = true
	}
	return len(seen)
}

// diverged finds, in the logs of the old primary, the runs of batches that the new primary does not have: what the
// reverse link did not write, and what is not the same there. Without names it looks at all topics.
func (j *job) diverged(ctx context.Context, a scanArgs, only ...string) ([]reach, error) {
	peer, err := j.w.at(a.From)
	if err != nil {
		return nil, err
	}
	here, err := j.limits(ctx, j.site, only)
	if err != nil {
		return nil, err
	}
	there, err := j.limits(ctx, peer, only)
	if err != nil {
		return nil, err
	}
	coder, err := batch.NewCoder(decodedMax)
	if err != nil {
		return nil, bug("kafka.scan", err.Error())
	}
	topics := map[string][]*look{}
	var names []string
	for _, p := range here.parts {
		l := &look{job: j, part: p, pid: a.PID, start: here.start[p.TP], end: here.end[p.TP], coder: coder}
		l.twin = &twin{job: j, c: peer.admin, coder: coder}
		l.twin.known(there, p.TP)
		l.compareFrom(a)
		if len(topics[p.Topic]) == 0 {
			names = append(names, p.Topic)
		}
		topics[p.Topic] = append(topics[p.Topic], l)
	}
	var out []reach
	for _, name := range names {
		own, err := divergedTopic(ctx, topics[name])
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	return out, nil
}

// compareFrom says what of the log has to be the new primary's, and how the rest is told.
func (l *look) compareFrom(a scanArgs) {
	cut, known := a.Cut.Offsets.at(l.part.TP)
	switch made, ok := a.Made[l.part.Topic]; {
	case a.Whole:
		// The site did not lose the role in the last takeover: its log is compared as far as the source's goes.
		l.cut, l.deep = l.twin.end, true
	case ok && made == hex.EncodeToString(l.part.ID[:]):
		l.pure, l.deep = true, true
	case known:
		l.cut, l.cutKnown = cut, true
	}
	// Otherwise the topic or partition came into being after the cut, here only.
}

// limits are a site's matched partitions and where their logs begin and end.
type limits struct {
	parts      []cluster.Partition
	start, end map[cluster.TP]int64
}

func (j *job) limits(ctx context.Context, s *site, only []string) (limits, error) {
	var l limits
	_, parts, err := j.matched(ctx, s, only...)
	if err != nil {
		return l, err
	}
	l.parts = parts
	if l.end, err = s.admin.ListOffsets(ctx, j.run.Lease, cluster.End, l.parts); err != nil {
		return l, err
	}
	l.start, err = s.admin.ListOffsets(ctx, j.run.Lease, cluster.Start, l.parts)
	return l, err
}

// divergedTopic compares the partitions of one topic. Where any of them has something of its own, the topic will be
// deleted, so all of them are read from their starts, and what cannot be compared any more counts as its own too.
func divergedTopic(ctx context.Context, parts []*look) ([]reach, error) {
	var own bool
	walks := make([]finding, len(parts))
	for i, l := range parts {
		var err error
		if walks[i], err = l.walk(ctx, l.deep); err != nil {
			return nil, err
		}
		own = own || walks[i].certain()
	}
	if !own {
		return nil, nil
	}
	var out []reach
	for i, l := range parts {
		if !l.deep {
			var err error
			if walks[i], err = l.walk(ctx, true); err != nil {
				return nil, err
			}
		}
		out = append(out, l.reaches(walks[i])...)
	}
	return out, nil
}

// look is how one partition of the old primary is compared.
type look struct {
	*job
	part cluster.Partition
	// pid is the producer id of the reverse link: what it wrote came from the new primary.
	pid        int64
	start, end int64
	// cut is where the mirrored part ends: from there on everything is foreign that the reverse link did not write.
	cut      int64
	cutKnown bool
	// pure says that understudy made the topic, empty, since the site lost the role: nobody else had to write there.
	pure bool
	// deep says that the log is read from its start in any case.
	deep  bool
	twin  *twin
	coder *batch.Coder
}

// walk reads the log, from its start or from shortly below the cut, and sorts its batches.
func (l *look) walk(ctx context.Context, deep bool) (finding, error) {
	from := l.start
	if !deep {
		from = max(from, min(l.cut, l.end)-tailWindow)
	}
	var f finding
	err := readLog(ctx, l.run.Lease, l.site.admin, l.part, from, l.end, func(b batch.Batch) (bool, error) {
		o, at, err := l.judge(ctx, b)
		f.add(o, at, b.NextOffset())
		return true, err
	})
	return f, err
}

// opinion is what is thought of a batch, in order of weight.
type opinion int

const (
	// ours came from the new primary, or holds nothing that anybody reads.
	ours opinion = iota
	// same is on both sides.
	same
	// doubtful is below the cut, and the new primary has nothing there any more to compare it with.
	doubtful
	// foreign is on the old primary only.
	foreign
)

// judge sorts one batch, and says where in it the range begins.
func (l *look) judge(ctx context.Context, b batch.Batch) (opinion, int64, error) {
	base := max(b.BaseOffset(), l.start)
	switch {
	case b.Producer().ID == l.pid:
		return ours, base, nil
	case l.pure || base >= l.cut:
		return foreign, base, nil
	case b.Control():
		there, err := l.twin.at(ctx, base)
		if err != nil || there.record == nil {
			return ours, base, err
		}
		return foreign, base, nil
	}
	out, at := ours, base
	for r, err := range l.coder.Records(b) {
		if err != nil {
			return out, at, err
		}
		if r.Offset < l.start {
			continue
		}
		o, err := l.judgeRecord(ctx, b, r)
		if err != nil {
			return out, at, err
		}
		if o >= doubtful && out < doubtful {
			at = r.Offset
		}
		out = max(out, o)
	}
	return out, at, nil
}

func (l *look) judgeRecord(ctx context.Context, b batch.Batch, r batch.Record) (opinion, error) {
	if r.Offset >= l.cut {
		return foreign, nil
	}
	there, err := l.twin.at(ctx, r.Offset)
	switch {
	case err != nil:
		return foreign, err
	case there.record != nil && sameRecord(r, *there.record):
		return same, nil
	case there.record != nil:
		return foreign, nil
	case there.marker && b.Transactional():
		return ours, nil // of an aborted transaction, for which the mirror put a marker
	case there.marker:
		return foreign, nil
	}
	return doubtful, nil
}

// sameRecord compares two records with all a consumer sees.
func sameRecord(a, b batch.Record) bool {
	field := func(x, y []byte) bool { return (x == nil) == (y == nil) && bytes.Equal(x, y) }
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && field(a.Key, b.Key) && field(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y batch.Header) bool { return x.Key == y.Key && field(x.Value, y.Value) })
}

// reaches gives the ranges of a walk.
func (l *look) reaches(f finding) []reach {
	var out []reach
	for _, s := range f.spans {
		r := reach{divergedRange{TP: l.part.TP, Start: s.start, End: s.end}, l.part}
		if l.cutKnown && len(out) == 0 && s.start == l.start && l.start > l.cut {
			r.Gone = l.start - l.cut
		}
		out = append(out, r)
	}
	return out
}

// span is a run of batches of which none is the new primary's.
type span struct {
	start, end int64
	certain    bool
}

// finding is what a walk through one log found.
type finding struct {
	spans []span
	// open says that the last span goes on with the next batch.
	open bool
}

func (f *finding) add(o opinion, at, next int64) {
	switch o {
	case doubtful, foreign:
		if !f.open {
			f.spans = append(f.spans, span{start: at})
		}
		last := &f.spans[len(f.spans)-1]
		last.end, last.certain, f.open = next, last.certain || o == foreign, true
	case same:
		// Logs lose their ends and nothing else: what is below a record that is still the mirrored one was mirrored.
		f.spans = slices.DeleteFunc(f.spans, func(s span) bool { return !s.certain })
		f.open = false
	case ours:
		f.open = false
	}
}

// certain says whether anything is on the old primary only, beyond doubt.
func (f finding) certain() bool {
	return slices.ContainsFunc(f.spans, func(s span) bool { return s.certain })
}

// decodedMax bounds the records of one batch, decompressed, in bytes.
const decodedMax = 256 << 20

// twin reads the same partition on the new primary, in growing order of offsets.
type twin struct {
	*job
	c          *cluster.Cluster
	part       cluster.Partition
	coder      *batch.Coder
	start, end int64
	// from and to bound what was read last.
	from, to int64
	records  map[int64]batch.Record
	markers  map[int64]bool
}

func (t *twin) known(l limits, tp cluster.TP) {
	for _, p := range l.parts {
		if p.TP == tp {
			t.part, t.start, t.end = p, l.start[tp], l.end[tp]
		}
	}
}

// standing is what the new primary has at an offset: a record, a marker, or nothing.
type standing struct {
	record *batch.Record
	marker bool
}

func (t *twin) at(ctx context.Context, off int64) (standing, error) {
	if off < t.start || off >= t.end {
		return standing{}, nil
	}
	if off < t.from || off >= t.to {
		if err := t.read(ctx, off); err != nil {
			return standing{}, err
		}
	}
	if r, ok := t.records[off]; ok {
		return standing{record: &r}, nil
	}
	return standing{marker: t.markers[off]}, nil
}

// read takes in about one chunk of the log, from an offset on.
func (t *twin) read(ctx context.Context, off int64) error {
	t.from, t.to, t.records, t.markers = off, t.end, map[int64]batch.Record{}, map[int64]bool{}
	size := 0
	return readLog(ctx, t.run.Lease, t.c, t.part, off, t.end, func(b batch.Batch) (bool, error) {
		if size += len(b); size >= readChunk {
			t.to = b.NextOffset()
		}
		if b.Control() {
			t.markers[b.BaseOffset()] = true // a control batch holds one record
			return size < readChunk, nil
		}
		for r, err := range t.coder.Records(b) {
			if err != nil {
				return false, err
			}
			t.records[r.Offset] = r
		}
		return size < readChunk, nil
	})
}
