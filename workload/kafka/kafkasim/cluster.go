package kafkasim

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	anonymous = "ANONYMOUS"
	insider   = "kafkasim" // the principal of our own requests
)

// Options says what kind of cluster to start. The zero value is one without topics and authorizer.
type Options struct {
	// ClusterID is what the cluster answers for its id; "kafkasim" when empty.
	ClusterID string
	// Topics are made at the start, with so many partitions each.
	Topics map[string]int32
	// Authorizer turns on ACLs. Who is no super user needs an ALLOW for everything, as on real brokers.
	Authorizer bool
	// Users are the names and passwords of SASL/PLAIN and SCRAM principals. A connection without SASL is
	// User:ANONYMOUS.
	Users map[string]string
	// SuperUsers pass every ACL: names of Users, or "ANONYMOUS", which is the only one when this is nil.
	SuperUsers []string
	// Port is the port to listen on; a free one when 0.
	Port int
	// AutoCreate lets metadata requests make topics, of one partition.
	AutoCreate bool
	// BrokerConfigs are dynamic configurations of the broker, such as "log.retention.ms".
	BrokerConfigs map[string]string
	// MaxVersions caps the protocol, to look like an older broker; nil for the newest.
	MaxVersions *kversion.Versions
}

// Cluster is a running simulated cluster of one broker. Its methods are safe for concurrent use.
type Cluster struct {
	opts    Options
	addr    net.Addr
	inner   *kfake.Cluster
	pipes   *pipes
	hooks   hooks
	stalls  stalls
	serving sync.WaitGroup

	net      sync.Mutex // guards what follows
	listener net.Listener
	release  func() // gives the port back that is held while nothing listens
	links    []*Link
	clients  map[*client]struct{}
	closed   bool

	log      sync.Mutex // held from judging an append until it is folded; guards what follows
	own      *upstream
	versions map[int16]int16
	parts    map[shard]*partition
	names    map[[16]byte]string
	hung     map[string]hungTxn
}

// shard is a partition's name.
type shard struct {
	topic     string
	partition int32
}

// Start starts a cluster and returns when it accepts connections. Close it at the end.
func Start(o Options) (*Cluster, error) {
	if o.ClusterID == "" {
		o.ClusterID = "kafkasim"
	}
	if o.SuperUsers == nil {
		o.SuperUsers = []string{anonymous}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(o.Port))
	if err != nil {
		return nil, fmt.Errorf("kafkasim %s: %w", o.ClusterID, err)
	}
	c := &Cluster{
		opts: o, addr: listener.Addr(), pipes: newPipes(listener.Addr()), clients: map[*client]struct{}{},
		parts: map[shard]*partition{}, names: map[[16]byte]string{}, hung: map[string]hungTxn{},
	}
	if c.inner, err = kfake.NewCluster(c.kfakeOptions()...); err != nil {
		return nil, errors.Join(fmt.Errorf("kafkasim %s: %w", o.ClusterID, err), listener.Close())
	}
	if err := c.connectOwn(); err != nil {
		c.inner.Close()
		return nil, errors.Join(fmt.Errorf("kafkasim %s: %w", o.ClusterID, err), listener.Close())
	}
	c.listen(listener)
	return c, nil
}

func (c *Cluster) kfakeOptions() []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.ClusterID(c.opts.ClusterID), kfake.DefaultNumPartitions(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return c.pipes, nil }),
		kfake.BrokerConfigs(c.opts.BrokerConfigs),
	}
	for _, topic := range slices.Sorted(maps.Keys(c.opts.Topics)) {
		opts = append(opts, kfake.SeedTopics(c.opts.Topics[topic], topic))
	}
	if c.opts.AutoCreate {
		opts = append(opts, kfake.AllowAutoTopicCreation())
	}
	if c.opts.MaxVersions != nil {
		opts = append(opts, kfake.MaxVersions(c.opts.MaxVersions))
	}
	if !c.secured() {
		return opts
	}
	opts = append(opts, kfake.EnableSASL(), kfake.Superuser("PLAIN", insider, insider), c.userOption("PLAIN", anonymous, anonymous))
	for _, name := range slices.Sorted(maps.Keys(c.opts.Users)) {
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			opts = append(opts, c.userOption(mechanism, name, c.opts.Users[name]))
		}
	}
	if c.opts.Authorizer {
		opts = append(opts, kfake.EnableACLs())
	}
	return opts
}

func (c *Cluster) userOption(mechanism, name, password string) kfake.Opt {
	if slices.Contains(c.opts.SuperUsers, name) {
		return kfake.Superuser(mechanism, name, password)
	}
	return kfake.User(mechanism, name, password)
}

// secured says whether connections to kfake log in.
func (c *Cluster) secured() bool { return c.opts.Authorizer || len(c.opts.Users) > 0 }

// connectOwn opens the connection for our own requests.
func (c *Cluster) connectOwn() error {
	own, err := c.pipes.dial(c.addr)
	if err != nil {
		return err
	}
	if c.secured() {
		if err := own.login(insider, insider); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, insider, "1"
	answer, err := own.ask(req, insider)
	if err != nil {
		return err
	}
	c.own, c.versions = own, map[int16]int16{}
	for _, key := range answer.(*kmsg.ApiVersionsResponse).ApiKeys {
		c.versions[key.ApiKey] = key.MaxVersion
	}
	return nil
}

// ask sends a request of our own as a super user. The log must be held.
func (c *Cluster) ask(req kmsg.Request) (kmsg.Response, error) {
	req.SetVersion(min(req.MaxVersion(), c.versions[req.Key()]))
	return c.own.ask(req, insider)
}

// Addr is the host:port that clients dial, plain or with SASL; it stays the same over Restart.
func (c *Cluster) Addr() string { return c.addr.String() }

// ClusterID is the cluster's id.
func (c *Cluster) ClusterID() string { return c.opts.ClusterID }

// listen accepts connections in the background until the listener is closed.
func (c *Cluster) listen(l net.Listener) {
	c.net.Lock()
	defer c.net.Unlock()
	c.listener = l
	c.serving.Go(func() { c.accept(l) })
}

func (c *Cluster) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c.admit(conn, c.Addr())
	}
}

// admit serves a connection in the background; answers name the broker as advertised.
func (c *Cluster) admit(conn net.Conn, advertised string) {
	c.net.Lock()
	defer c.net.Unlock()
	if c.listener == nil {
		reset(conn)
		return
	}
	up, err := c.pipes.dial(conn.RemoteAddr())
	if err != nil {
		reset(conn)
		return
	}
	cl := &client{cluster: c, conn: conn, up: up, advertised: advertised, gone: make(chan struct{}), loggedIn: !c.secured()}
	c.clients[cl] = struct{}{}
	c.serving.Go(func() {
		cl.serve()
		c.net.Lock()
		delete(c.clients, cl)
		c.net.Unlock()
	})
}

// Kill is kill -9 of the broker: no connection is accepted any more and all are reset at once. Requests in
// flight may or may not have been carried out; what was acknowledged is kept. Links stay, and refuse as well.
func (c *Cluster) Kill() {
	c.net.Lock()
	defer c.net.Unlock()
	if c.listener == nil {
		return
	}
	c.listener.Close()
	c.listener, c.release = nil, hold(c.addr)
	for cl := range c.clients {
		cl.kill()
	}
	for _, l := range c.links {
		l.sever()
	}
}

// Restart accepts connections again, on the same port and with the same data. The cluster knows less about
// producers than before, as after a broker's crash: of each only the last batch is known for a duplicate. A
// running cluster is killed first.
func (c *Cluster) Restart() error {
	c.Kill()
	c.log.Lock()
	for _, p := range c.parts {
		p.reboot()
	}
	err := c.resume()
	c.log.Unlock()
	if err != nil {
		return fmt.Errorf("kafkasim %s: %w", c.opts.ClusterID, err)
	}
	c.net.Lock()
	closed, links := c.closed, slices.Clone(c.links)
	c.net.Unlock()
	if closed {
		return fmt.Errorf("kafkasim %s: %w", c.opts.ClusterID, net.ErrClosed)
	}
	c.release()
	l, err := net.Listen("tcp", c.Addr())
	if err != nil {
		return fmt.Errorf("kafkasim %s: %w", c.opts.ClusterID, err)
	}
	c.listen(l)
	for _, link := range links {
		if err := link.reopen(); err != nil {
			return err
		}
	}
	return nil
}

// Compact runs the log cleaner on all compacted topics now: of each key only the latest record stays, and
// batches keep the holes.
func (c *Cluster) Compact() { c.inner.Compact() }

// ApplyRetention deletes now what retention.ms and retention.bytes do not keep.
func (c *Cluster) ApplyRetention() { c.inner.ApplyRetention() }

// Close ends the cluster, its links and all that serves them. Its data is gone.
func (c *Cluster) Close() {
	c.Kill()
	c.net.Lock()
	c.release()
	c.closed = true
	links := slices.Clone(c.links)
	c.net.Unlock()
	for _, l := range links {
		l.Close()
	}
	c.hooks.releaseAll()
	c.serving.Wait()
	c.own.close()
	c.inner.Close()
	_ = c.pipes.Close()
}

// reset closes a connection so that the peer sees a reset, as from a process that died.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}
