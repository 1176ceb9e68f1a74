package controltest

import "testing"

func TestTurnsInARowStopEverywhere(t *testing.T) {
	for appends := 1; appends < 40; appends++ {
		for _, stride := range []int{0, 1, 7, 30, 100} {
			stopped := map[int]bool{}
			for turn := 5; turn < 5+max(appends, stride); turn++ {
				stops(t, stopped, Course{Stride: stride, Turn: turn}, appends)
			}
			if len(stopped) != appends {
				t.Errorf("%d of %d appends are stopped at with stride %d", len(stopped), appends, stride)
			}
		}
	}
}

// stops notes the appends at which a course stops.
func stops(t *testing.T, stopped map[int]bool, c Course, appends int) {
	t.Helper()
	c = c.among(appends)
	if c.Offset >= appends {
		t.Fatalf("turn %d of %d appends with stride %d stops nowhere", c.Turn, appends, c.Stride)
	}
	for n := 1 + c.Offset; n <= appends; n += c.Stride {
		stopped[n] = true
	}
}
