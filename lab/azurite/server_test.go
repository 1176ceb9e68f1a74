package azurite_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/azurite"
)

// TestServerIsKilledPausedAndComesBack asks it without an account, which the service refuses in its own words.
func TestServerIsKilledPausedAndComesBack(t *testing.T) {
	s := azurite.Boot(t)
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
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	refused(t, s)
}

func refused(t *testing.T, s *azurite.Server) {
	t.Helper()
	resp, err := http.Get(s.Endpoint() + "?comp=list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.HasPrefix(resp.Header.Get("Server"), "Azurite") {
		t.Errorf("answer is %s from %q", resp.Status, resp.Header.Get("Server"))
	}
}
