package mirror

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestDutiesComeInTime counts rounds in virtual time: groups' positions are promised within a second, new topics and
// partitions within ten, and each needs one whole round with room for its requests.
func TestDutiesComeInTime(t *testing.T) {
	for what, duty := range map[string]struct {
		pause  time.Duration
		within time.Duration
	}{"groups": {groupsEvery, time.Second}, "new topics": {scanEvery, 10 * time.Second}} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Mirror{troubles: map[string]error{}}
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				last, rounds := time.Now(), 0
				m.every(ctx, duty.pause, what, func(context.Context) error {
					if gap := time.Since(last); gap > duty.within/2 {
						t.Fatalf("%s between two rounds, of %s promised", gap, duty.within)
					}
					last = time.Now()
					rounds++
					return nil
				})
				if least := 2 * int(60*time.Second/duty.within); rounds < least {
					t.Fatalf("%d rounds in a minute, not %d", rounds, least)
				}
			})
		})
	}
}
