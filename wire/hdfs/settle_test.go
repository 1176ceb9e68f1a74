package hdfs

import (
	"testing"
	"time"
)

// TestSettlingLearns has blocks that settle after some time: most waits are a little longer than that, few answers are no, and a time
// that has become shorter is learned too.
func TestSettlingLearns(t *testing.T) {
	var s settling
	for _, after := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 2 * time.Millisecond, 0} {
		for range 500 {
			s.learn(s.wait() >= after, s.wait())
		}
		refused, longest := 0, time.Duration(0)
		for range 300 {
			if s.wait() < after {
				refused++
			}
			longest = max(longest, s.wait())
			s.learn(s.wait() >= after, s.wait())
		}
		if refused > 20 || longest > 2*after+2*settleStep {
			t.Errorf("after %v: %d of 300 refused, the longest wait is %v", after, refused, longest)
		}
	}
	s.learn(false, 100*time.Millisecond)
	if s.wait() < 100*time.Millisecond {
		t.Errorf("the wait is %v after a block that was not reported in 100 ms", s.wait())
	}
	for range 1000 {
		s.learn(false, 0)
	}
	if s.wait() != settleMost {
		t.Errorf("the wait is %v", s.wait())
	}
}
