package filecopytest_test

import (
	"testing"

	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// TestTornContentIsSeen is the control of those who read while movers are killed.
func TestTornContentIsSeen(t *testing.T) {
	for _, v := range []filecopytest.Victim{{Files: 9}, {Files: 9, Pieces: func(i int) int { return i * 1000 }}} {
		good := v.Content(3, 7)
		if version, whole := v.Whole(3, good); version != 7 || !whole {
			t.Error("whole content is not taken")
		}
		for _, bad := range []string{"", good[:len(good)-1], good[:len(good)/2] + v.Content(3, 8)[len(good)/2:], v.Content(4, 7)} {
			if _, whole := v.Whole(3, bad); whole {
				t.Errorf("%.40q is taken for whole", bad)
			}
		}
	}
}
