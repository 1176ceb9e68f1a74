package place

import (
	"context"
	"errors"
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
			h := s.checkup(ctx, nil, health{at: time.Now(), nodes: len(nodes)}, nodes)
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

// TestWhatDataNodesTakeIsHeldAgainstTheSiteFile greets nodes that take this and that, until one takes what the site file says.
func TestWhatDataNodesTakeIsHeldAgainstTheSiteFile(t *testing.T) {
	type node = []hdfs.Protection
	both, none, privacy := node{hdfs.Integrity, hdfs.Privacy}, node{}, node{hdfs.Privacy}
	for _, c := range []struct {
		name  string
		said  hdfs.Protection
		nodes []node
		hung  bool
		takes string
		asked int
	}{
		{"the one that was said", hdfs.Privacy, []node{privacy, privacy}, false, "", 1},
		{"one of two", hdfs.Privacy, []node{both}, false, "", 1},
		{"nothing", "", []node{none}, false, "", 1},
		{"one that was not said", "", []node{privacy, privacy, privacy, privacy}, false, "privacy", 3},
		{"others than the one that was said", hdfs.Authentication, []node{both}, false, "integrity or privacy", 1},
		{"by one of them as was said", hdfs.Privacy, []node{none, {hdfs.Integrity}, privacy}, false, "", 3},
		{"nothing where one was said", hdfs.Privacy, []node{none, none}, true, "", 2},
		{"nobody answers", hdfs.Privacy, []node{nil, nil}, false, "", 2},
		{"one that answers says another", "", []node{nil, privacy}, false, "privacy", 2},
	} {
		var nodes []hdfs.DataNode
		for i := range c.nodes {
			nodes = append(nodes, hdfs.DataNode{IP: "node", Port: i})
		}
		asked := 0
		ask := func(_ context.Context, d *hdfs.DataNode) ([]hdfs.Protection, error) {
			asked++
			if c.nodes[d.Port] == nil {
				return nil, hdfs.ErrTimeout
			}
			return c.nodes[d.Port], nil
		}
		s := &hdfsSite{cfg: HDFSConfig{Login: Login{Kerberos: &hdfs.Kerberos{DataProtection: c.said}}}}
		hung, err := s.greet(t.Context(), ask, nil, nodes)
		var unheard *UnheardError
		refused := errors.As(err, &unheard)
		if hung != c.hung || asked != c.asked || refused != (c.takes != "") || refused && (unheard.Demand() != c.takes || !TurnedAway(err)) {
			t.Errorf("%s: hung up %t, %v after %d", c.name, hung, err, asked)
		}
		// What fits is known for a while, and only that.
		asked = 0
		if _, _ = s.greet(t.Context(), ask, []string{"node:1"}, nodes); (asked == 0) != (c.takes == "" && !c.hung && c.nodes[0] != nil) {
			t.Errorf("%s: asked %d the next time", c.name, asked)
		}
	}
	if hung, err := (&hdfsSite{}).greet(t.Context(), (&hdfsSite{}).asksDataNodes(nil), nil, []hdfs.DataNode{{}}); hung || err != nil {
		t.Errorf("without Kerberos: %t, %v", hung, err)
	}
}
