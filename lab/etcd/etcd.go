// Package etcd runs a real etcd with one member, listening on loopback: in this process, or in one of its own
// that can be killed, paused and started again. It must not know what the product keeps in it.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/understudy-dr/understudy/lab"
)

// Config says how a member runs.
type Config struct {
	// Dir holds the data and the log.
	Dir string
	// ClientPort and PeerPort are its loopback ports.
	ClientPort, PeerPort int
}

// readyLine is printed by Serve.
const readyLine = "etcd is ready on "

// Endpoint is the URL for clients.
func (c Config) Endpoint() string { return "http://" + lab.Loopback(c.ClientPort) }

// Member is an etcd inside this process.
type Member struct {
	config Config
	etcd   *embed.Etcd
}

// Open starts a member in this process and returns when it serves. Close it.
func Open(ctx context.Context, c Config) (*Member, error) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "lab", filepath.Join(c.Dir, "data")
	client, peer := loopback(c.ClientPort), loopback(c.PeerPort)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// One member has nobody to wait for: short ticks only bring it up sooner.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.LogLevel, cfg.LogOutputs = "warn", []string{filepath.Join(c.Dir, "etcd.log")}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", c.Dir, err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return &Member{config: c, etcd: e}, nil
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("etcd in %s: %w", c.Dir, err)
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("etcd in %s: wait until it serves: %w", c.Dir, ctx.Err())
	}
}

// Endpoint is the URL for clients.
func (m *Member) Endpoint() string { return m.config.Endpoint() }

// Close ends the member.
func (m *Member) Close() error {
	m.etcd.Close()
	return nil
}

// Serve runs a member in this process until ctx ends, and says on out when it serves.
func Serve(ctx context.Context, c Config, out io.Writer) error {
	m, err := Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if _, err := fmt.Fprintln(out, readyLine+c.Endpoint()); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-m.etcd.Err():
		return errors.Join(errors.New("etcd ended by itself"), err)
	}
}

func loopback(port int) url.URL { return url.URL{Scheme: "http", Host: lab.Loopback(port)} }
