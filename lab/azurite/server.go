package azurite

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// What is installed.
const (
	Version = "3.37.0"
	node    = "22.23.3"
)

// Account is that of every server.
const Account = "labaccount"

// Key is the account's: made up, and worth nothing elsewhere.
func Key() string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("lab", 20))) }

// Bounds of installing the server, a start and an orderly end on a crowded machine.
const (
	installLimit = 15 * time.Minute
	startLimit   = 2 * time.Minute
	stopLimit    = 20 * time.Second
)

// Server is an emulator in a process of its own.
type Server struct {
	dir     string
	path    string
	kept    *lab.Ports
	process *lab.Process
}

// Fetch installs the server where it is not installed yet, and returns its directory.
func Fetch(ctx context.Context) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", &lab.Missing{What: "npm", Why: "there is no npm on the PATH", Fix: "install it (Debian: npm), or add it to the PATH"}
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	return lab.Cached(ctx, filepath.Join("npm", "azurite-"+Version), func(ctx context.Context, dir string) error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--no-audit", "--no-fund", "--omit=dev", "azurite@"+Version, "node@"+node)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install azurite %s: %w: %s", Version, err, out)
		}
		return nil
	})
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
	s := &Server{dir: dir, path: filepath.Join(path, "node_modules"), kept: kept}
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
			t.Logf("close azurite: %v", err)
		}
		if log, err := os.ReadFile(s.process.Log()); err == nil && t.Failed() {
			t.Logf("log of azurite:\n%s", log)
		}
	})
	return s
}

func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := lab.Start(lab.Command{
		Name: "azurite",
		Path: filepath.Join(s.path, "node", "bin", "node"),
		Args: []string{
			filepath.Join(s.path, "azurite", "dist", "src", "blob", "main.js"), "--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(s.kept.Numbers[0]),
			"--location", filepath.Join(s.dir, "data"), "--skipApiVersionCheck", "--disableTelemetry", "--silent",
		},
		Env: []string{"AZURITE_ACCOUNTS=" + Account + ":" + Key()},
		Dir: s.dir,
		Log: filepath.Join(s.dir, "server.log"),
	})
	if err != nil {
		return err
	}
	s.process = p
	if err := p.WaitPort(ctx, s.addr()); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (s *Server) addr() string { return lab.Loopback(s.kept.Numbers[0]) }

// Endpoint is the URL of the account.
func (s *Server) Endpoint() string { return "http://" + s.addr() + "/" + Account }

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

// Restart starts the server again with the same data and port. A running one is stopped first.
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

// Close kills the server and gives its port back. The directory stays.
func (s *Server) Close() error {
	defer s.kept.Release()
	return s.process.Kill()
}
