package hdfs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Event is one change of the name space in the words of HDFS's inotify.
type Event struct {
	// TxID is the number of the edit; events of one edit became visible together.
	TxID int64 `json:"txid"`
	// Type is create, close, append, rename, metadata, unlink or truncate.
	Type string `json:"type"`
	Path string `json:"path"`
	// To is where a rename led.
	To string `json:"to"`
	// Overwrite says that a create replaced a file.
	Overwrite bool `json:"overwrite"`
	// Length is a closed or truncated file's, in bytes.
	Length int64 `json:"length"`
	// What a metadata event changed, such as times or owner.
	What string `json:"what"`
	// Time is in milliseconds since 1970; 0 where HDFS gives none.
	Time int64 `json:"time"`
}

// Mark returns the number of the NameNode's latest edit, from which Events can begin. Only the super user may ask.
func (c *Client) Mark(ctx context.Context, a Access) (int64, error) {
	var at int64
	err := c.call(ctx, a, "txid", request{}, func(r reply) { at = r.TxID })
	return at, err
}

// Events are all changes after a mark up to the time of the call, in order.
func (c *Client) Events(ctx context.Context, a Access, since int64) ([]Event, error) {
	var all []Event
	err := c.call(ctx, a, "events", request{"since": since}, func(r reply) {
		if r.Event != nil {
			all = append(all, *r.Event)
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Gap is a time in which a path was missing, although it had been there: between the edits From and To. To is 0
// when it is missing at the end.
type Gap struct {
	Path     string
	From, To int64
}

// String gives the path and the edits.
func (g Gap) String() string {
	if g.To == 0 {
		return fmt.Sprintf("%s is missing since edit %d", g.Path, g.From)
	}
	return fmt.Sprintf("%s was missing from edit %d to %d", g.Path, g.From, g.To)
}

// witness follows which paths exist.
type witness struct {
	there map[string]bool
	// gone says since which edit a path that had been there is missing.
	gone map[string]int64
	// back are those of them that an edit has brought back.
	back map[string]bool
	gaps []Gap
}

// Gaps replays events over the paths that existed before them, and lists every time in which a path below root
// was missing and came back, or is missing at the end: what a reader could have noticed. No gap
// means that whatever existed below root at any time exists from then on.
func Gaps(before []string, events []Event, root string) []Gap {
	w := &witness{there: make(map[string]bool), gone: make(map[string]int64), back: make(map[string]bool)}
	for _, p := range before {
		w.there[p] = true
	}
	for i := 0; i < len(events); {
		// What one edit did, nobody saw half done: a rename over a file is a removal and a rename of one edit.
		at := events[i].TxID
		for ; i < len(events) && events[i].TxID == at; i++ {
			w.apply(events[i])
		}
		w.settle(at)
	}
	for _, p := range sorted(w.gone) {
		w.gaps = append(w.gaps, Gap{Path: p, From: w.gone[p]})
	}
	var within []Gap
	for _, g := range w.gaps {
		if g.Path == root || strings.HasPrefix(g.Path, strings.TrimSuffix(root, "/")+"/") {
			within = append(within, g)
		}
	}
	return within
}

// apply changes what exists.
func (w *witness) apply(e Event) {
	switch e.Type {
	case "create":
		w.gain(e.Path)
	case "unlink":
		for _, p := range w.below(e.Path) {
			w.lose(p, e.TxID)
		}
	case "rename":
		moved := w.below(e.Path)
		for _, p := range w.below(e.To) {
			w.lose(p, e.TxID)
		}
		for _, p := range moved {
			w.lose(p, e.TxID)
			w.gain(e.To + strings.TrimPrefix(p, e.Path))
		}
	}
}

func (w *witness) lose(path string, at int64) {
	delete(w.there, path)
	if _, ok := w.gone[path]; !ok {
		w.gone[path] = at
	}
}

func (w *witness) gain(path string) {
	w.there[path] = true
	if _, ok := w.gone[path]; ok {
		w.back[path] = true
	}
}

// settle ends the gaps of the paths that are back after an edit; one that began with the same edit was none.
func (w *witness) settle(at int64) {
	for _, p := range sorted(w.back) {
		if !w.there[p] {
			continue
		}
		if w.gone[p] != at {
			w.gaps = append(w.gaps, Gap{Path: p, From: w.gone[p], To: at})
		}
		delete(w.gone, p)
	}
	clear(w.back)
}

// below are the existing paths at and below one.
func (w *witness) below(path string) []string {
	var all []string
	for p := range w.there {
		if p == path || strings.HasPrefix(p, path+"/") {
			all = append(all, p)
		}
	}
	return all
}

// sorted gives a map's paths in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
