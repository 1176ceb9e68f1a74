package adls

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// startLimit bounds a start on a crowded machine.
const startLimit = time.Minute

// Server is an account that is served by a process of its own.
type Server struct {
	*lab.Daemon
	dir  string
	path string
	port int
}

// Start builds the lab's program where it changed, runs it over a directory, and returns when it serves. Close it.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := lab.Program(ctx, lab.Own)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(1)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, path: path, port: kept.Numbers[0]}
	s.Daemon = lab.NewDaemon("adls", kept, startLimit, s.command, lab.Says(readyLine))
	return s, s.Begin(ctx)
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server { return lab.Boot(t, Start) }

func (s *Server) command() lab.Command {
	return lab.Command{
		Name: "adls", Path: s.path, Args: []string{"adls", "--data", filepath.Join(s.dir, "data"), "--port", strconv.Itoa(s.port)},
		Log: filepath.Join(s.dir, "server.log"),
	}
}

// Addr is the address.
func (s *Server) Addr() string { return lab.Loopback(s.port) }

// Endpoint is the URL of the account.
func (s *Server) Endpoint() string { return "http://" + s.Addr() + "/" + AccountName }
