package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/hdfs"
)

func TestHDFSKeepsItsDirectoryAndPort(t *testing.T) {
	lab.Check(t, hdfs.Fetch(t.Context()))
	dir, port := t.TempDir(), ""
	for range 2 {
		args := []string{"hdfs", "--name", "a", "--dir", dir, "--datanodes", "1"}
		if port != "" {
			args = append(args, "--port", port)
		}
		s := start(t, t.Context(), args...)
		var got fileSystem
		s.line(t, &got)
		_, at, err := net.SplitHostPort(got.Addrs[0])
		if err != nil || port != "" && at != port || !got.Running || len(got.JVMs) != 1 || len(got.DataNodes) != 1 {
			t.Errorf("on port %q it is %+v", port, got)
		}
		port = at
		s.in.Close()
		s.running.Wait()
		if _, err := net.Dial("tcp", got.Addrs[0]); s.status != 0 || err == nil {
			t.Errorf("status %d, dial after the end: %v", s.status, err)
		}
	}
}

func TestHDFSPairTakesOrders(t *testing.T) {
	lab.Check(t, hdfs.Fetch(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := start(t, ctx, "hdfs-pair", "--names", "left,right", "--datanodes", "1", "--separate-datanodes")
	var first answer
	s.line(t, &first)
	if len(first.Clusters) != 2 || first.Clusters[1].Name != "right" || len(first.Clusters[0].JVMs) != 2 {
		t.Fatalf("the pair is %+v", first)
	}
	for _, step := range []struct {
		order, wrong string
		left, right  bool
	}{
		{`{"do":"kill","name":"left/dn1"}`, "", false, true},
		{`start left/dn1`, "", true, true},
		{`pause left`, "", true, true},
		{`resume left`, "", true, true},
		{`stop right`, "", true, false},
		{`start right`, "", true, true},
		{`kill left`, "", false, true},
		{`status`, "", false, true},
		{`fly left`, "unknown order", false, true},
		{`kill up`, "no server is called", false, true},
		{`kill right/dn9`, "no server is called", false, true},
	} {
		if _, err := io.WriteString(s.in, step.order+"\n"); err != nil {
			t.Fatal(err)
		}
		var a answer
		s.line(t, &a)
		if a.Clusters[0].Running != step.left || a.Clusters[1].Running != step.right || !strings.Contains(a.Error, step.wrong) || (a.Error == "") != (step.wrong == "") {
			t.Errorf("%s: %+v", step.order, a)
		}
	}
	cancel()
	s.in.Close()
	s.running.Wait()
	if _, err := net.Dial("tcp", first.Clusters[1].Addrs[0]); s.status != 0 || err == nil {
		t.Errorf("status %d, dial after the end: %v", s.status, err)
	}
}
