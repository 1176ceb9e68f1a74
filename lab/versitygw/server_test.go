package versitygw_test

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/versitygw"
)

// TestServerIsKilledPausedAndComesBack asks it without an account, which a server of S3 refuses in its own words.
func TestServerIsKilledPausedAndComesBack(t *testing.T) {
	s := versitygw.Boot(t)
	if err := s.MakeBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	refused(t, s)
	pid := s.PID()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(s.Endpoint()); err == nil {
		resp.Body.Close()
		t.Error("a killed server answered")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.PID() == pid {
		t.Errorf("process %d is the killed one", pid)
	}
	refused(t, s)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Probe(ctx); err == nil {
		t.Error("a paused server answered")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, s *versitygw.Server) {
	t.Helper()
	resp, err := http.Get(s.Endpoint() + "/bucket")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != "application/xml" {
		t.Errorf("answer is %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
}

func TestBucketsAreDirectories(t *testing.T) {
	s := versitygw.Boot(t)
	for range 2 {
		if err := s.MakeBucket("bucket"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Damage("bucket", "absent"); !os.IsNotExist(err) {
		t.Errorf("damage of an absent object = %v", err)
	}
}
