package place

import (
	"testing"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs"
)

// TestSkewIsThatOfTheNewestHeartbeat guesses the NameNode's clock from when DataNodes were heard of, and knows when it cannot.
func TestSkewIsThatOfTheNewestHeartbeat(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	heard := func(ago ...time.Duration) []hdfs.DataNode {
		var out []hdfs.DataNode
		for _, a := range ago {
			out = append(out, hdfs.DataNode{LastUpdate: now.Add(-a)})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		nodes []hdfs.DataNode
		skew  time.Duration
		known bool
	}{
		{"no node", nil, 0, false},
		{"nodes that were never heard of", []hdfs.DataNode{{}, {}}, 0, false},
		{"within a heartbeat", heard(time.Hour, 2*time.Second), 0, true},
		{"behind", heard(time.Hour, time.Minute), -57 * time.Second, true},
		{"ahead", heard(time.Hour, -time.Minute), time.Minute, true},
	} {
		if skew, known := skew(now, c.nodes); skew != c.skew || known != c.known {
			t.Errorf("%s: %s, %v", c.name, skew, known)
		}
	}
}
