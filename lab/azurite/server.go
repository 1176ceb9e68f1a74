package azurite

import (
	"context"
	"encoding/base64"
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
)

// Server is an emulator in a process of its own.
type Server struct {
	*lab.Daemon
	dir  string
	path string
	port int
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
	s := &Server{dir: dir, path: filepath.Join(path, "node_modules"), port: kept.Numbers[0]}
	s.Daemon = lab.NewDaemon("azurite", kept, startLimit, s.command, s.serves)
	return s, s.Begin(ctx)
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot(t lab.Test) *Server { return lab.Boot(t, Start) }

func (s *Server) command() lab.Command {
	return lab.Command{
		Name: "azurite",
		Path: filepath.Join(s.path, "node", "bin", "node"),
		Args: []string{
			filepath.Join(s.path, "azurite", "dist", "src", "blob", "main.js"), "--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(s.port),
			"--location", filepath.Join(s.dir, "data"), "--skipApiVersionCheck", "--disableTelemetry", "--silent",
		},
		Env: []string{"AZURITE_ACCOUNTS=" + Account + ":" + Key()},
		Dir: s.dir,
		Log: filepath.Join(s.dir, "server.log"),
	}
}

func (s *Server) serves(ctx context.Context, p *lab.Process) error { return p.WaitPort(ctx, s.addr()) }

func (s *Server) addr() string { return lab.Loopback(s.port) }

// Endpoint is the URL of the account.
func (s *Server) Endpoint() string { return "http://" + s.addr() + "/" + Account }
