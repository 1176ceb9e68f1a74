package control

import (
	"reflect"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Every case is one look of the scheduler at a link.
func TestTurn(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	hour := func(n float64) time.Time { return begun.Add(time.Duration(n * float64(time.Hour))) }
	every, err := workload.ParseSchedule("every 4h")
	if err != nil {
		t.Fatal(err)
	}
	why := &understudy.Error{Code: "US999", Summary: "planned"}
	run := func(s State) *Operation { return &Operation{ID: "op-1", State: s, Error: why} }
	plain := runRecord{Schedule: "every 4h", Anchor: begun, Next: hour(4)}
	with := func(change func(*runRecord)) runRecord {
		r := plain
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		was    runRecord
		at     time.Time
		newest *Operation
		begins bool
		want   runRecord
	}{
		"not yet":           {plain, hour(3.9), nil, false, plain},
		"in time":           {plain, hour(4), nil, true, with(func(r *runRecord) { r.Due, r.Next = hour(4), hour(8) })},
		"three were missed": {plain, hour(13), nil, true, with(func(r *runRecord) { r.Due, r.Merged, r.Next = hour(4), 2, hour(16) })},
		"one is open": {plain, hour(9), run(Running), false,
			with(func(r *runRecord) { r.Due, r.Merged, r.Next = hour(4), 1, hour(12) })},
		"one is paused by a person": {plain, hour(5), run(PausedByOperator), false, with(func(r *runRecord) { r.Due, r.Next = hour(4), hour(8) })},
		"one failed, and it is not time": {with(func(r *runRecord) { r.Due = hour(0.5) }), hour(1), run(PausedByStep), false,
			with(func(r *runRecord) { r.Error = why })},
		"one failed, and it is time": {plain, hour(4), run(PausedByStep), true,
			with(func(r *runRecord) { r.Due, r.Next, r.Error = hour(4), hour(8), why })},
		"what was merged follows": {with(func(r *runRecord) { r.Due, r.Next = hour(4), hour(8) }), hour(5), run(Committed), true,
			with(func(r *runRecord) { r.Due, r.Next = hour(4), hour(8) })},
		"success forgets the error":    {with(func(r *runRecord) { r.Error = why }), hour(1), run(Committed), false, plain},
		"another schedule was applied": {with(func(r *runRecord) { r.Schedule, r.Next = "every 1d", hour(24) }), hour(1), nil, false, plain},
		"the clock was set back":       {with(func(r *runRecord) { r.Next = hour(104) }), hour(1), nil, false, plain},
		"the clock was set back behind the last run": {with(func(r *runRecord) { r.Began, r.Next = hour(100), hour(104) }), hour(1), run(Committed), true,
			with(func(r *runRecord) { r.Due, r.Next = hour(1), hour(4) })},
	} {
		r := c.was
		if begins := r.turn(every, c.at, c.newest); begins != c.begins || !reflect.DeepEqual(r, c.want) {
			t.Errorf("%s: begins %v\n%+v, want\n%+v", name, begins, r, c.want)
		}
	}
}
