package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// minStart is what a start may take on a slow disk, whatever the options say.
const minStart = 30 * time.Second

// member is the etcd server in this process, and the lock on its directory.
type member struct {
	held   *os.File
	server *embed.Etcd

	once   sync.Once
	failed chan struct{}
	cause  error
}

// fail notes the error after which etcd must not go on. Only the first counts.
func (m *member) fail(message string, err error) {
	m.once.Do(func() {
		if err == nil {
			m.cause = fmt.Errorf("etcd: %s", message)
		} else {
			m.cause = fmt.Errorf("etcd: %s: %w", message, err)
		}
		close(m.failed)
	})
}

// openMember locks the directory and starts etcd in it.
func openMember(ctx context.Context, o Options) (*member, error) {
	if o.Dir == "" {
		return nil, unusable(errors.New("no directory is given"), "it needs a data directory")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unusable(err, "its data directory cannot be made")
	}
	held, err := lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	m := &member{held: held, failed: make(chan struct{})}
	if err := m.start(ctx, o); err != nil {
		return nil, errors.Join(err, m.abandon())
	}
	return m, nil
}

// start starts etcd and waits until it is ready. The start runs apart, because the goroutine that meets a fatal
// error never returns.
func (m *member) start(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, max(o.timeout(), minStart))
	defer cancel()
	type result struct {
		server *embed.Etcd
		err    error
	}
	started := make(chan result, 1)
	go func() {
		// Some damage to its files makes etcd panic at the start instead of saying what it found.
		defer func() {
			if p := recover(); p != nil {
				m.fail("its files are damaged", fmt.Errorf("%v", p))
			}
		}()
		server, err := embed.StartEtcd(configure(o, m))
		started <- result{server, err}
	}()
	select {
	case r := <-started:
		if r.err != nil {
			return unusable(r.err, "etcd does not start")
		}
		m.server = r.server
	case <-m.failed:
		return unusable(m.cause, "etcd does not start")
	}
	select {
	case <-m.server.Server.ReadyNotify():
		return nil
	case <-m.server.Server.StopNotify():
		return unusable(errors.New("etcd stopped by itself"), "etcd does not start")
	case <-m.failed:
		return unusable(m.cause, "etcd does not start")
	case <-ctx.Done():
		return unusable(timeoutError(ctx), "etcd does not start")
	}
}

// follow ends the journal when etcd fails or stops by itself.
func (m *member) follow(j *Journal) {
	select {
	case <-j.ctx.Done():
	case <-m.failed:
		j.cancel(stopped(m.cause))
	case <-m.server.Server.StopNotify():
		j.cancel(stopped(errors.New("etcd stopped by itself")))
	}
}

// broken reports whether etcd met an error after which it must be left alone.
func (m *member) broken() bool {
	select {
	case <-m.failed:
		return true
	default:
		return false
	}
}

// stop stops etcd and lets go of the directory. After a failure etcd cannot be stopped any more, and the lock stays
// until the process ends, for parts of etcd still hold the files.
func (m *member) stop() {
	if m.broken() {
		return
	}
	m.server.Close()
	_ = m.held.Close()
}

// abandon undoes a start that failed.
func (m *member) abandon() error {
	if m.broken() {
		return nil
	}
	if m.server != nil {
		m.server.Close()
	}
	return m.held.Close()
}
