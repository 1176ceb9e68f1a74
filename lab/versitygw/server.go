package versitygw

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// What is built.
const (
	program = "github.com/versity/versitygw/cmd/versitygw"
	// Version is that of the server.
	Version = "v1.8.0"
)

// The account and the region of every server.
const (
	AccessKey = "labaccess"
	SecretKey = "labsecret"
	Region    = "us-east-1"
)

// healthPath answers 200 once the server serves.
const healthPath = "/healthz"

// Bounds of building the server, a start and an orderly end on a crowded machine.
const (
	buildLimit = 20 * time.Minute
	startLimit = time.Minute
	probeEvery = 20 * time.Millisecond
)

// Server is an S3 server in a process of its own.
type Server struct {
	*lab.Daemon
	dir  string
	path string
	port int
}

// Fetch builds the server where it is not built yet, and returns its path.
func Fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	return lab.Install(ctx, program, Version)
}

// Start runs a server over a directory, and returns when it serves. Close it.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := Fetch(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(1)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, path: path, port: kept.Numbers[0]}
	s.Daemon = lab.NewDaemon("versitygw", kept, startLimit, s.command, s.serves)
	if err := errors.Join(os.MkdirAll(s.data(), 0o755), os.MkdirAll(s.accounts(), 0o700)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, s.Begin(ctx)
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server { return lab.Boot(t, Start) }

func (s *Server) data() string     { return filepath.Join(s.dir, "data") }
func (s *Server) accounts() string { return filepath.Join(s.dir, "accounts") }

func (s *Server) command() lab.Command {
	return lab.Command{
		Name: "versitygw",
		Path: s.path,
		// Unnamed temporary files would be linked under a second name for a moment, which a listing shows.
		Args: []string{
			"--access", AccessKey, "--secret", SecretKey, "--region", Region, "--port", s.Addr(), "--health", healthPath,
			"--iam-dir", s.accounts(), "--keep-alive", "--quiet", "posix", "--disableotmp", s.data(),
		},
		Log: filepath.Join(s.dir, "server.log"),
	}
}

func (s *Server) serves(ctx context.Context, p *lab.Process) error {
	return errors.Join(p.WaitPort(ctx, s.Addr()), s.Probe(ctx))
}

// Probe waits until the server answers, or ctx ends.
func (s *Server) Probe(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := s.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("versitygw at %s: %w", s.Addr(), errors.Join(ctx.Err(), err))
		case <-s.Done():
			return fmt.Errorf("versitygw at %s has ended: %w", s.Addr(), err)
		case <-tick.C:
		}
	}
}

func (s *Server) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint()+healthPath, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// Addr is the server's address.
func (s *Server) Addr() string { return lab.Loopback(s.port) }

// Endpoint is the URL for clients, which name the bucket in the path.
func (s *Server) Endpoint() string { return "http://" + s.Addr() }

// MakeBucket makes a bucket; one that exists is no error.
func (s *Server) MakeBucket(name string) error {
	return os.MkdirAll(filepath.Join(s.data(), name), 0o755)
}

// Damage flips a bit of an object's content on the disk, behind the server's back: nothing else of it changes.
func (s *Server) Damage(bucket, key string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), bucket, filepath.FromSlash(key)), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], 0)
	if err == nil {
		b[0] ^= 1
		_, err = f.WriteAt(b[:], 0)
	}
	return errors.Join(err, f.Close())
}
