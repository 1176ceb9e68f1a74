package mirror

import (
	"errors"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

// stop is why a partition ends for this assignment; whatever else goes wrong is tried again.
type stop struct {
	state understudy.Protection
	// need is the role epoch to ask control for; zero when a new assignment would not help.
	need understudy.RoleEpoch
	err  *understudy.Error
}

func (s *stop) Error() string { return s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

// errMoved means that the target does not end where we left it: look again, and align anew.
var errMoved = errors.New("the target's end is not the expected one")

// errUnsure means that markers were sent and no answer came: whether they are in the log is known only when
// the request can no longer be waiting anywhere.
var errUnsure = errors.New("markers were sent and not answered")

func isLease(err error) bool {
	var e *understudy.Error
	return errors.Is(err, conn.ErrLease) || errors.As(err, &e) && e.Code == "US003"
}

func leaseOver(o understudy.Object) *understudy.Error {
	return &understudy.Error{
		Code: "US003", Kind: understudy.KindFenced, Op: "kafka.mirror", Object: o,
		Summary: "the mover's lease is over; nothing was sent after it",
		Why:     "this process was paused or cut off for longer than its lease",
		Fix:     "nothing: whoever holds the lease now goes on",
	}
}

func (s *shard) object(side *side) understudy.Object {
	o := side.c.Object()
	o.Shard = s.tp.String()
	return o
}

func (s *shard) foreign(format string, args ...any) *stop {
	return &stop{state: understudy.Diverged, err: &understudy.Error{
		Code: "US141", Kind: understudy.KindBroken, Op: "kafka.mirror", Object: s.object(s.m.target),
		Summary: fmt.Sprintf(format, args...),
		Why:     "somebody else writes into the mirrored topic on the secondary",
		Fix:     s.anew(),
	}}
}

// anew names the command that has a topic made anew on the secondary, in whatever state the link may be.
func (s *shard) anew() string {
	return fmt.Sprintf("find and stop the writer, let open operations end (after a takeover: understudy commit %[1]s), then: "+
		"understudy reprotect %[1]s; it saves what was written there to the ledger, and makes the topic anew. "+
		"In a first protect: abort it, delete the topic there, and protect again", s.m.o.Link.Plan)
}

func (s *shard) gap(first, next int64) *stop {
	return &stop{state: understudy.Broken, err: &understudy.Error{
		Code: "US142", Kind: understudy.KindBroken, Op: "kafka.mirror", Object: s.object(s.m.source),
		Summary: fmt.Sprintf("offsets %d to %d (%d) were removed from the source before they were copied", first, next-1, next-first),
		Why:     "retention or DeleteRecords on the source was faster than the mirror",
		Fix:     "raise the topic's retention, and have the topic made anew on the secondary",
	}}
}

func (s *shard) history(format string, args ...any) *stop {
	return &stop{state: understudy.Diverged, err: &understudy.Error{
		Code: "US143", Kind: understudy.KindBroken, Op: "kafka.mirror", Object: s.object(s.m.source),
		Summary: fmt.Sprintf(format, args...),
		Why:     "the source lost records that were copied, after an unclean election or a restore, or the topic was replaced",
		Fix:     "compare both sides (`understudy verify`) and have the side that is wrong made anew",
	}}
}

func (s *shard) remade() *stop {
	return &stop{state: understudy.Diverged, err: &understudy.Error{
		Code: "US144", Kind: understudy.KindBroken, Op: "kafka.mirror", Object: s.object(s.m.source),
		Summary: "the topic was deleted and made anew on the source",
		Fix:     "delete the old one on the secondary, or leave the topic out",
	}}
}

func (s *shard) fenced(need understudy.RoleEpoch, summary string) *stop {
	return &stop{state: understudy.LinkDown, need: need, err: &understudy.Error{
		Code: "US140", Kind: understudy.KindFenced, Op: "kafka.mirror", Object: s.object(s.m.target),
		Summary: summary,
		Why:     "the link was halted, or another mover has it",
		Fix:     "nothing: control makes a new assignment when the link is to go on",
	}}
}

func (s *shard) unusable(side *side, offset int64, err error) *stop {
	return &stop{state: understudy.Broken, err: &understudy.Error{
		Code: "US145", Kind: understudy.KindBroken, Op: "kafka.mirror", Object: s.object(side),
		Summary: fmt.Sprintf("the batch at offset %d cannot be mirrored", offset), Err: err,
	}}
}

// restless is the error of a partition that finds its end changed again and again.
func (s *shard) restless(err error) error {
	return &understudy.Error{
		Code: "US146", Kind: understudy.KindRetry, Op: "kafka.mirror", Object: s.object(s.m.target),
		Summary: "the partition does not come to rest on the target; it is tried again", Err: err,
	}
}

func (s *shard) refused(code int16) error {
	err := understudy.AsError(s.m.target.c.Refused("kafka.produce", s.tp.String(), code, "WRITE on topic "+s.tp.Topic))
	err.Code = "US146"
	return err
}
