package hdfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
)

// clientProtocol is what NameNodes speak with clients.
const clientProtocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"

// chunk is how many bytes of data one checksum covers in what this client writes; it is the default everywhere in Hadoop.
const chunk = 512

// Client speaks to one namespace. All its methods may be called from many goroutines at once, and share one connection to the active NameNode.
type Client struct {
	opts     Options
	id       [16]byte
	name     string
	servers  *servers
	data     *dataNodes
	leases   leases
	defaults ServerDefaults
	joiner   *crc.Joiner
	login    *login
	calls    atomic.Int32
	settling settling
	// closing ends what runs in the background, which background counts.
	closing    context.Context
	stop       context.CancelFunc
	background sync.WaitGroup
}

// Dial connects to the active NameNode of a namespace and asks for its defaults. The client runs until Close.
// A NameNode that cannot be reached or refuses us is an error at once: ErrUnavailable, ErrUnauthenticated, ErrStandby when none is active.
func Dial(ctx context.Context, opts Options) (*Client, error) {
	if len(opts.NameNodes) == 0 {
		return nil, &Error{Op: "dial", Err: errors.New("no address of a NameNode is given")}
	}
	c := &Client{opts: opts.filled(), joiner: crc.NewJoiner(chunk)}
	if _, err := rand.Read(c.id[:]); err != nil {
		return nil, &Error{Op: "dial", Err: err}
	}
	c.name = fmt.Sprintf("understudy_%x", c.id[:8])
	if opts.Kerberos != nil {
		l, err := newLogin(*opts.Kerberos, c.background.Go)
		if err != nil {
			return nil, &Error{Op: "log in as", Path: opts.Kerberos.Principal, Err: err}
		}
		c.login = l
	}
	c.closing, c.stop = context.WithCancel(context.Background())
	c.servers = newServers(c)
	c.data = newDataNodes(c)
	// The first answer is not waited for: who is not there is to be known at once.
	c.servers.patience = 0
	defaults, err := c.ServerDefaults(ctx)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.servers.patience = c.opts.RetryFor
	c.defaults = defaults
	return c, nil
}

// Close ends all connections and waits for what runs in the background. Open readers and writers fail.
func (c *Client) Close() {
	c.leases.mu.Lock()
	c.stop()
	c.leases.mu.Unlock()
	c.servers.close()
	c.data.close()
	c.background.Wait()
	if c.login != nil {
		c.login.close()
	}
}

// Name is how the NameNode knows this client: the holder of its leases.
func (c *Client) Name() string { return c.name }

// Defaults are what the namespace does where a file says nothing, as read by Dial.
func (c *Client) Defaults() ServerDefaults { return c.defaults }

// Calls counts the calls sent to NameNodes so far, repeats included.
func (c *Client) Calls() int64 { return c.servers.sent.Load() }

// call asks the active NameNode. path is what the call is about, for errors only.
func (c *Client) call(ctx context.Context, method, path string, request proto.Message) ([]byte, error) {
	// Call numbers are never negative: those belong to the protocol itself.
	id := c.calls.Add(1) & 0x7fffffff
	return c.servers.call(ctx, path, rpc.Request{ID: id, Method: method, Body: request})
}

// do calls and drops the answer.
func (c *Client) do(ctx context.Context, method, path string, request proto.Message) error {
	_, err := c.call(ctx, method, path, request)
	return err
}

// ask calls and reads the answer with the given function.
func ask[T any](ctx context.Context, c *Client, method, path string, request proto.Message, read func(*proto.Decoder) T) (T, error) {
	body, err := c.call(ctx, method, path, request)
	if err != nil {
		var none T
		return none, err
	}
	v, err := proto.Parse(body, read)
	if err != nil {
		err = &Error{Op: method, Path: path, Err: fmt.Errorf("%w: %w", ErrProtocol, err)}
	}
	return v, err
}

// field reads one embedded message out of an answer that holds nothing else; found is false when it is absent.
func field[T any](read func(*proto.Decoder) T) func(*proto.Decoder) *T {
	return func(d *proto.Decoder) *T {
		var found *T
		for d.Next() {
			if d.Number() == 1 {
				v := proto.Sub(d, read)
				found = &v
			}
		}
		return found
	}
}

// readBool reads an answer that holds one truth value.
func readBool(d *proto.Decoder) bool {
	var v bool
	for d.Next() {
		if d.Number() == 1 {
			v = d.Bool()
		}
	}
	return v
}

// readInt reads an answer that holds one number.
func readInt(d *proto.Decoder) int64 {
	var v int64
	for d.Next() {
		if d.Number() == 1 {
			v = d.Int()
		}
	}
	return v
}

// readString reads an answer that holds one string.
func readString(d *proto.Decoder) string {
	var v string
	for d.Next() {
		if d.Number() == 1 {
			v = d.String()
		}
	}
	return v
}

// sleep waits, or gives the error of ctx when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
