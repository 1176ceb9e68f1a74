package hdfs

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// EventKind says what an event of the namespace is about.
type EventKind string

// The kinds of events (inotify.proto).
const (
	EventCreate   EventKind = "create"
	EventClose    EventKind = "close"
	EventAppend   EventKind = "append"
	EventRename   EventKind = "rename"
	EventMetadata EventKind = "metadata"
	EventUnlink   EventKind = "unlink"
	EventTruncate EventKind = "truncate"
)

// eventKinds are the kinds by their number.
func eventKinds() []EventKind {
	return []EventKind{EventCreate, EventClose, EventAppend, EventRename, EventMetadata, EventUnlink, EventTruncate}
}

// Event is one change of the namespace, read from the edit log.
type Event struct {
	// Tx is the transaction it came with; several events may share one.
	Tx   int64
	Kind EventKind
	// Path is what changed; Target is where a rename went.
	Path, Target string
	// Length is the length of a file when it was closed or truncated.
	Length int64
	// Time is the time of the event or, of metadata, the new time of change; zero where there is none.
	Time time.Time
	// Overwrite says that a created file replaced another.
	Overwrite bool
}

// EventPage is a piece of the edit log.
type EventPage struct {
	Events []Event
	// First and Last are the transactions that the page covers, with events or without; -1 when there is nothing new.
	First, Last int64
	// Newest is the newest transaction that the server had then.
	Newest int64
}

// LatestTx gives the newest transaction of the edit log. Only for superusers.
func (c *Client) LatestTx(ctx context.Context) (int64, error) {
	return ask(ctx, c, "getCurrentEditLogTxid", "", nil, readInt)
}

// Events gives a piece of the edit log from a transaction on. Go on from Last+1. A page whose First is later than what was asked for
// has a gap before it: the server has cleaned those edits away. Only for superusers.
func (c *Client) Events(ctx context.Context, tx int64) (*EventPage, error) {
	p, err := ask(ctx, c, "getEditsFromTxid", "", proto.Message(nil).Int(1, tx), field(readEvents))
	if err == nil && p == nil {
		err = &Error{Op: "getEditsFromTxid", Err: ErrProtocol}
	}
	return p, err
}

// readEvents reads EventsListProto.
func readEvents(d *proto.Decoder) EventPage {
	var p EventPage
	for d.Next() {
		switch d.Number() {
		case 2:
			p.First = d.Int()
		case 3:
			p.Last = d.Int()
		case 4:
			p.Newest = d.Int()
		case 5:
			p.Events = append(p.Events, proto.Sub(d, readBatch)...)
		}
	}
	return p
}

// readBatch reads EventBatchProto.
func readBatch(d *proto.Decoder) []Event {
	var tx int64
	var list []Event
	for d.Next() {
		switch d.Number() {
		case 1:
			tx = d.Int()
		case 2:
			list = append(list, proto.Sub(d, readEvent))
		}
	}
	for i := range list {
		list[i].Tx = tx
	}
	return list
}

// readEvent reads EventProto, which wraps a message of its kind.
func readEvent(d *proto.Decoder) Event {
	var kind uint64
	var contents []byte
	for d.Next() {
		switch d.Number() {
		case 1:
			kind = d.Uint()
		case 2:
			contents = d.Raw()
		}
	}
	if kind >= uint64(len(eventKinds())) {
		d.Fail(fmt.Errorf("event of kind %d is unknown", kind))
		return Event{}
	}
	e, err := proto.Parse(contents, eventKinds()[kind].read)
	if err != nil {
		d.Fail(err)
	}
	return e
}

// read reads the message of one kind. All begin with a path; the few other fields that are wanted differ in their numbers.
func (k EventKind) read(d *proto.Decoder) Event {
	e := Event{Kind: k}
	for d.Next() {
		switch {
		case d.Number() == 1 && k != EventCreate, d.Number() == 2 && k == EventCreate:
			e.Path = d.String()
		case d.Number() == 2 && k == EventRename:
			e.Target = d.String()
		case d.Number() == 2 && (k == EventClose || k == EventTruncate):
			e.Length = d.Int()
		case d.Number() == 2 && k == EventUnlink:
			e.Time = millis(d.Int())
		case d.Number() == 3 && k != EventAppend && k != EventUnlink:
			e.Time = millis(d.Int())
		case d.Number() == 9 && k == EventCreate:
			e.Overwrite = d.Bool()
		}
	}
	return e
}
