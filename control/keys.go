package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// The keys of the journal. Everything control remembers stands under one of them.
const (
	keyControlPlane = "/control-plane"
	keyDocuments    = "/documents"
	keyLeader       = "/leading"
	prefixOps       = "/op/"
	prefixPlans     = "/plan/"
	prefixLinks     = "/link/"
)

func keyRole(o understudy.Object) string     { return "/role/" + o.String() }
func keyVerdict(o understudy.Object) string  { return "/verdict/" + o.String() }
func keyLink(l understudy.Link) string       { return prefixLinks + linkPath(l) }
func keyProgress(l understudy.Link) string   { return "/progress/" + linkPath(l) }
func keyPlan(p understudy.PlanName) string   { return prefixPlans + string(p) }
func keyOp(id understudy.OperationID) string { return prefixOps + string(id) }

// prefixKeep begins the keys of a workload's memory: all of it as of some time, and what changed since.
func prefixKeep(o understudy.Object) string { return "/keep/" + o.String() + "/" }

func keyKeepAll(o understudy.Object) string { return prefixKeep(o) + "all" }

func keyKeepSince(o understudy.Object) string { return prefixKeep(o) + "since" }

func keyOld(o understudy.Object, s understudy.Site) string {
	return prefixOld(o) + string(s)
}

func prefixOld(o understudy.Object) string { return "/old/" + o.String() + "/" }

func keyEvent(id understudy.OperationID, seq int64) string {
	return fmt.Sprintf("%s%08d", prefixEvents(id), seq)
}

func prefixEvents(id understudy.OperationID) string { return "/events/" + string(id) + "/" }

func prefixLedger(p understudy.PlanName) string { return "/ledger/" + string(p) + "/" }

func keyLedger(o understudy.Object, id understudy.OperationID) string {
	return prefixLedger(o.Plan) + string(o.Workload) + "/" + string(id)
}

func linkPath(l understudy.Link) string {
	return strings.Join([]string{string(l.Plan), string(l.Workload), string(l.From), string(l.To)}, "/")
}

// read gives the value of a key and its version; the zero value and version zero when there is none.
func read[T any](ctx context.Context, j journal.Journal, key string) (T, journal.Revision, error) {
	var v T
	e, err := get(ctx, j, key)
	if err != nil || e.Version == 0 {
		return v, 0, err
	}
	if err := json.Unmarshal(e.Value, &v); err != nil {
		return v, 0, unreadable(key, err)
	}
	return v, e.Version, nil
}

// readAll gives the values of all keys with the prefix, in key order.
func readAll[T any](ctx context.Context, j journal.Journal, prefix string) ([]T, error) {
	entries, err := list(ctx, j, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(entries))
	for _, e := range entries {
		var v T
		if err := json.Unmarshal(e.Value, &v); err != nil {
			return nil, unreadable(e.Key, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func unreadable(key string, err error) error {
	return &understudy.Error{
		Code: "US201", Kind: understudy.KindBug, Op: "control.read", Err: err,
		Summary: fmt.Sprintf("the journal's entry %s cannot be read", key),
		Fix:     "use the version of understudy that wrote it, or a newer one",
	}
}

// change gathers one transaction.
type change struct {
	guards []journal.Guard
	writes []journal.Write
	err    error
}

// put writes a value, guarded by the version that was read; zero means that the key must not exist.
func (t *change) put(key string, version journal.Revision, v any) {
	t.guards = append(t.guards, journal.Guard{Key: key, Version: version})
	t.set(key, v)
}

// set writes a value that only the leader writes, in a place nobody else reads before deciding.
func (t *change) set(key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		t.err = err
	}
	t.writes = append(t.writes, journal.Write{Key: key, Value: b})
}

// drop deletes a key.
func (t *change) drop(key string) { t.writes = append(t.writes, journal.Write{Key: key}) }

// linkPrefix is the beginning of the keys of all links of a workload.
func linkPrefix(p workload.Planned) string {
	return prefixLinks + string(p.Plan) + "/" + string(p.Name) + "/"
}
