package workloadtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// The toy is held to the suite as every kind is.
func TestToyConforms(t *testing.T) {
	workloadtest.Run(t, toyHarness)
}

func toyHarness(*testing.T) workloadtest.Harness {
	w := workloadtest.NewWorld("east", "west")
	n := 0
	write := func(_ context.Context, site understudy.Site, count int) error {
		for range count {
			n++
			if err := w.Write(site, fmt.Sprintf("r%d", n), "v"); err != nil {
				return err
			}
		}
		return nil
	}
	return workloadtest.Harness{
		Kind: workloadtest.Toy(w), Spec: workloadtest.ToySpec("contoso", "orders", "east", "west"),
		Opening: workload.Opening{ControlPlane: "cp-test"},
		Write:   write,
		Refused: func(ctx context.Context, site understudy.Site) (bool, error) {
			return understudy.KindOf(write(ctx, site, 1)) == understudy.KindDenied, nil
		},
		Same: func(context.Context) error {
			if e, s := fmt.Sprint(w.IDs("east")), fmt.Sprint(w.IDs("west")); e != s {
				return fmt.Errorf("east %s, west %s", e, s)
			}
			return nil
		},
		Damage: func(_ context.Context, site understudy.Site, how workloadtest.Damage) error {
			switch how {
			case workloadtest.Flip:
				w.Flip(site, 3)
			case workloadtest.Missing:
				w.Drop(site)
			case workloadtest.Extra:
				w.Force(site, "foreign", "v")
			case workloadtest.None: // it has nothing to write anew
			}
			return nil
		},
		Late: func(context.Context) (<-chan struct{}, func() (int, int), error) {
			held := w.Hold()
			return held, func() (refused, accepted int) {
				for _, err := range w.Release() {
					if err != nil {
						refused++
					} else {
						accepted++
					}
				}
				return refused, accepted
			}, nil
		},
		Gap: func(ctx context.Context) error {
			if err := write(ctx, "east", 5); err != nil {
				return err
			}
			w.Trim("east", 12)
			return nil
		},
		Lose: losing(w),
	}
}

// losing takes a site of the world away, and brings it back.
func losing(w *workloadtest.World) func(context.Context, understudy.Site) (func() error, error) {
	return func(_ context.Context, site understudy.Site) (func() error, error) {
		w.SetUp(site, false)
		return func() error { w.SetUp(site, true); return nil }, nil
	}
}

// The toy without a mover is held to the suite of scheduled kinds.
func TestScheduledToyConforms(t *testing.T) {
	workloadtest.RunScheduled(t, func(t *testing.T) workloadtest.Harness {
		h := toyHarness(t)
		h.Spec = workloadtest.ToyScheduledSpec(understudy.StandbySecondary, "contoso", "orders", "east", "west")
		return h
	})
}
