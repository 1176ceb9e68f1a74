package controltest

import "testing"

func TestTurnsInARowStopEverywhere(t *testing.T) {
	for _, stride := range []int{0, 1, 7, 30, 100} {
		for appends := 1; appends < 40; appends++ {
			if stopped := turned(stride, appends); len(stopped) != appends {
				t.Errorf("%d of %d appends are stopped at with stride %d", len(stopped), appends, stride)
			}
		}
	}
}

// turned gives the appends at which as many turns as are needed stop.
func turned(stride, appends int) map[int]bool {
	stopped := map[int]bool{}
	for turn := 5; turn < 5+max(appends, stride); turn++ {
		c := Course{Stride: stride, Turn: turn}.among(appends)
		for n := 1 + c.Offset; n <= appends; n += c.Stride {
			stopped[n] = true
		}
	}
	return stopped
}
