package hdfs

import (
	"context"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// renewEvery is how often leases are renewed: a minute without it lets another client take a file over (HdfsConstants.LEASE_SOFTLIMIT_PERIOD).
const renewEvery = 20 * time.Second

// leases keeps what this client writes from being taken away, as long as it writes anything.
type leases struct {
	mu   sync.Mutex
	open int
	stop context.CancelFunc
}

// hold begins to renew when the first file is opened for writing.
func (c *Client) hold() {
	l := &c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open++; l.open > 1 || c.closing.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.closing)
	l.stop = cancel
	c.background.Go(func() { c.renew(ctx) })
}

// release stops renewing when the last file is closed.
func (c *Client) release() {
	l := &c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open--; l.open == 0 && l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// renew renews all leases of this client until ctx ends. A failure shows when the file is closed, where it can be told to somebody.
func (c *Client) renew(ctx context.Context) {
	for sleep(ctx, renewEvery) == nil {
		_ = c.RenewLease(ctx)
	}
}

// RenewLease renews the leases of all files that this client writes. Writers do so by themselves.
func (c *Client) RenewLease(ctx context.Context) error {
	return c.do(ctx, "renewLease", "", proto.Message(nil).String(1, c.name))
}

// RecoverLease takes a file away from a writer that died, and has its last block brought to one length everywhere.
// done is true when the file is closed already; otherwise ask again, or watch Closed.
func (c *Client) RecoverLease(ctx context.Context, name string) (done bool, err error) {
	return ask(ctx, c, "recoverLease", name, proto.Message(nil).String(1, name).String(2, c.name), readBool)
}
