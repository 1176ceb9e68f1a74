package adls

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// program runs Serve; see its command "adls".
const program = "github.com/understudy-dr/understudy/cmd/understudy-lab"

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
	path, err := lab.Program(ctx, program)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(1)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, path: path, port: kept.Numbers[0]}
	s.Daemon = lab.NewDaemon("adls", kept, startLimit, s.command, func(ctx context.Context, p *lab.Process) error {
		return p.WaitLog(ctx, regexp.MustCompile(regexp.QuoteMeta(readyLine)))
	})
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server {
	s, err := Start(context.Background(), t.TempDir())
	lab.Check(t, err)
	s.EndWith(t)
	return s
}

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
