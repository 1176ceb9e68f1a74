package etcd

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// program runs Serve; see its command "etcd".
const program = "github.com/understudy-dr/understudy/cmd/understudy-lab"

// Bounds of a start and an orderly end on a crowded machine.
const (
	startLimit = time.Minute
	stopLimit  = 20 * time.Second
)

// Server is an etcd in a process of its own.
type Server struct {
	config  Config
	path    string
	kept    *lab.Ports
	process *lab.Process
}

// Start builds the lab's program where it changed, runs it and returns when etcd serves. Close it.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := lab.Program(ctx, program)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(2)
	if err != nil {
		return nil, err
	}
	s := &Server{config: Config{Dir: dir, ClientPort: kept.Numbers[0], PeerPort: kept.Numbers[1]}, path: path, kept: kept}
	if err := s.start(ctx); err != nil {
		kept.Release()
		return nil, err
	}
	return s, nil
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server {
	s, err := Start(context.Background(), t.TempDir())
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Logf("close etcd: %v", err)
		}
		if log, err := os.ReadFile(s.process.Log()); err == nil && t.Failed() {
			t.Logf("log of etcd:\n%s", log)
		}
	})
	return s
}

func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := lab.Start(lab.Command{
		Name: "etcd",
		Path: s.path,
		Args: []string{"etcd", "--data", s.config.Dir, "--port", strconv.Itoa(s.config.ClientPort), "--peer-port", strconv.Itoa(s.config.PeerPort)},
		Log:  filepath.Join(s.config.Dir, "server.log"),
	})
	if err != nil {
		return err
	}
	if err := p.WaitLog(ctx, regexp.MustCompile(regexp.QuoteMeta(readyLine))); err != nil {
		_ = p.Kill()
		return err
	}
	s.process = p
	return nil
}

// Endpoint is the URL for clients.
func (s *Server) Endpoint() string { return s.config.Endpoint() }

// PID is the process id of the latest start.
func (s *Server) PID() int { return s.process.PID() }

// Stop ends the server in good order; Restart may follow.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return s.process.Stop(ctx)
}

// Kill ends the server at once (kill -9); Restart may follow.
func (s *Server) Kill() error { return s.process.Kill() }

// Restart starts the server again with the same data and ports. A running one is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

// Pause freezes the server with its connections open.
func (s *Server) Pause() error { return s.process.Pause() }

// Resume lets a paused server go on.
func (s *Server) Resume() error { return s.process.Resume() }

// Close kills the server and gives its ports back. The directory stays.
func (s *Server) Close() error {
	defer s.kept.Release()
	return s.process.Kill()
}
