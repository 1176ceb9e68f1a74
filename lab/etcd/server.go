package etcd

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// startLimit bounds a start on a crowded machine.
const startLimit = time.Minute

// Server is an etcd in a process of its own.
type Server struct {
	*lab.Daemon
	config Config
	path   string
}

// Start builds the lab's program where it changed, runs it and returns when etcd serves. Close it.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := lab.Program(ctx, lab.Own)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(2)
	if err != nil {
		return nil, err
	}
	s := &Server{config: Config{Dir: dir, ClientPort: kept.Numbers[0], PeerPort: kept.Numbers[1]}, path: path}
	s.Daemon = lab.NewDaemon("etcd", kept, startLimit, s.command, lab.Says(readyLine))
	return s, s.Begin(ctx)
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server { return lab.Boot(t, Start) }

func (s *Server) command() lab.Command {
	return lab.Command{
		Name: "etcd",
		Path: s.path,
		Args: []string{"etcd", "--data", s.config.Dir, "--port", strconv.Itoa(s.config.ClientPort), "--peer-port", strconv.Itoa(s.config.PeerPort)},
		Log:  filepath.Join(s.config.Dir, "server.log"),
	}
}

// Endpoint is the URL for clients.
func (s *Server) Endpoint() string { return s.config.Endpoint() }
