// Package provisiontest is the conformance suite for provisioners. It must not know any of them: each supplies a fresh
// place to make clusters in through Harness.
package provisiontest

import (
	"context"
	"errors"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
)

// Harness is what a provisioner supplies.
type Harness struct {
	Provisioner provision.Provisioner
	// Always says that its clusters are there whatever is asked for.
	Always bool
	// Size says, past the provisioner, of which size a cluster is; nil skips the case that needs it.
	Size func(provision.Target) provision.Size
	// Interrupt lets the next call of an action stop in its middle: it gives the context for that call, which
	// ends once the call has begun its effect. Nil skips the cases that need it.
	Interrupt func(t *testing.T, action string) context.Context
}

// target names one of the suite's clusters.
func target(workload understudy.WorkloadName) provision.Target {
	return provision.Target{Plan: "contoso", Workload: workload, Site: "west", Cluster: "lake"}
}

// Run holds a provisioner to the contract. Each case gets a fresh place from make.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	for name, f := range map[string]func(*testing.T, Harness){
		"it comes and goes":                    comesAndGoes,
		"every call may be repeated":           repeats,
		"targets do not touch each other":      keepsApart,
		"a size is changed":                    resizes,
		"a context that has ended is heard":    hears,
		"make after a make that was cut off":   func(t *testing.T, h Harness) { mends(t, h, "make", provision.Present) },
		"make after a remove that was cut off": func(t *testing.T, h Harness) { mends(t, h, "remove", provision.Present) },
		"remove after a make that was cut off": func(t *testing.T, h Harness) { mends(t, h, "make", provision.Absent) },
	} {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

// is wants the answer of a call and then of Find to be the state.
func (h Harness) is(t *testing.T, at provision.Target, want provision.State, got provision.Status, err error) {
	t.Helper()
	if h.Always {
		want = provision.Present
	}
	if err != nil || got.State != want {
		t.Fatalf("%s: %+v, %v; want %s", at, got, err, want)
	}
	found, err := h.Provisioner.Find(t.Context(), at)
	if err != nil || found.State != want {
		t.Fatalf("%s: find says %+v, %v; want %s", at, found, err, want)
	}
}

func (h Harness) make(t *testing.T, at provision.Target) {
	t.Helper()
	s, err := h.Provisioner.Make(t.Context(), at, provision.ForRun)
	h.is(t, at, provision.Present, s, err)
}

func (h Harness) remove(t *testing.T, at provision.Target) {
	t.Helper()
	s, err := h.Provisioner.Remove(t.Context(), at)
	h.is(t, at, provision.Absent, s, err)
}

func comesAndGoes(t *testing.T, h Harness) {
	one := target("one")
	s, err := h.Provisioner.Find(t.Context(), one)
	h.is(t, one, provision.Absent, s, err)
	for range 3 {
		h.make(t, one)
		h.remove(t, one)
	}
}

func repeats(t *testing.T, h Harness) {
	one := target("one")
	h.remove(t, one)
	h.make(t, one)
	h.make(t, one)
	h.remove(t, one)
	h.remove(t, one)
}

func keepsApart(t *testing.T, h Harness) {
	one, two := target("one"), target("two")
	h.make(t, one)
	s, err := h.Provisioner.Find(t.Context(), two)
	h.is(t, two, provision.Absent, s, err)
	h.make(t, two)
	h.remove(t, one)
	s, err = h.Provisioner.Find(t.Context(), two)
	h.is(t, two, provision.Present, s, err)
}

func resizes(t *testing.T, h Harness) {
	one := target("one")
	h.make(t, one)
	for _, size := range []provision.Size{provision.ForService, provision.ForService, provision.ForRun} {
		s, err := h.Provisioner.Resize(t.Context(), one, size)
		h.is(t, one, provision.Present, s, err)
		if h.Size != nil && h.Size(one) != size {
			t.Fatalf("it is of size %s, want %s", h.Size(one), size)
		}
	}
}

func hears(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Provisioner.Find(ctx, target("one")); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	if _, err := h.Provisioner.Make(ctx, target("one"), provision.ForRun); !errors.Is(err, context.Canceled) {
		t.Errorf("make: %v", err)
	}
	if _, err := h.Provisioner.Remove(ctx, target("one")); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v", err)
	}
}

// mends cuts a call off in its middle, and wants the next one to bring it to the end that is asked for.
func mends(t *testing.T, h Harness, action string, want provision.State) {
	if h.Interrupt == nil {
		return // nothing of its calls can be cut off
	}
	one := target("one")
	if action == "remove" {
		h.make(t, one)
	}
	ctx := h.Interrupt(t, action)
	var err error
	if action == "remove" {
		_, err = h.Provisioner.Remove(ctx, one)
	} else {
		_, err = h.Provisioner.Make(ctx, one, provision.ForRun)
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the %s that was cut off: %v", action, err)
	}
	if want == provision.Present {
		h.make(t, one)
	} else {
		h.remove(t, one)
	}
}
