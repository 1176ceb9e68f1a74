package place

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// TestDataNodesBehindAFirewallTakeTheTimeOfNoOthers tries a hundred nodes that say nothing, one that refuses, and twenty that are well behind them, in the
// five seconds that a look has: two rounds of the silent are known to be, and of what time did not do for nothing is said.
func TestDataNodesBehindAFirewallTakeTheTimeOfNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silent, well = 100, 20
		nodes := []hdfs.DataNode{{IP: "refuses", Port: 1}}
		for i := range silent {
			nodes = append(nodes, hdfs.DataNode{IP: fmt.Sprintf("silent%d", i), Port: 1})
		}
		for i := range well {
			nodes = append(nodes, hdfs.DataNode{IP: fmt.Sprintf("well%d", i), Port: 1})
		}
		dial := func(ctx context.Context, _, address string) (net.Conn, error) {
			switch {
			case strings.HasPrefix(address, "refuses"):
				return nil, net.ErrClosed
			case strings.HasPrefix(address, "silent"):
				<-ctx.Done()
				return nil, ctx.Err()
			}
			ours, theirs := net.Pipe()
			return ours, theirs.Close()
		}
		s := &hdfsSite{cfg: HDFSConfig{Options: hdfs.Options{Dial: dial}}}
		look := func(limit time.Duration, nodes []hdfs.DataNode, unreachable, untried int) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			h := s.checkup(ctx, health{at: time.Now(), nodes: len(nodes)}, nodes)
			if len(h.unreachable) != unreachable || h.untried != untried || slices.ContainsFunc(h.unreachable, func(a string) bool { return strings.HasPrefix(a, "well") }) {
				t.Errorf("in %s %d of %d are unreachable and %d untried: %v", limit, len(h.unreachable), len(nodes), h.untried, h.unreachable)
			}
		}
		look(5*time.Second, nodes, 2*knocking+1, silent-2*knocking+well)
		look(time.Minute, nodes, silent+1, 0)
		look(time.Second, nodes[1:knocking], 0, knocking-1)
		look(time.Second, nodes[silent+1:], 0, 0)
	})
}
