package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

// RequestTimeout is the longest any single request may take. A successor of a lease waits at least this
// long before its first effect.
const RequestTimeout = 10 * time.Second

// dialTimeout bounds one connection attempt, so that a dead site is known within a few seconds.
const dialTimeout = 2500 * time.Millisecond

// Config says where a cluster is and who we are there. Secrets are named, and read when a connection is made.
type Config struct {
	// Object is what errors are about: plan, workload and site.
	Object  understudy.Object
	Brokers []string
	TLS     *TLS
	SASL    *SASL
	// Secret reads a named secret.
	Secret func(ctx context.Context, name string) ([]byte, error)
}

// TLS names the secrets of an encrypted connection.
type TLS struct {
	// CA names the PEM certificates that sign the brokers' certificates; empty means the system's.
	CA string
	// Cert and Key name our own certificate and key; both empty means none.
	Cert, Key string
	// ServerName overrides the name that the brokers' certificate must carry.
	ServerName string
}

// SASL names a login.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string
	// User is the login; when empty, the secret's value is "user:password".
	User string
	// Secret names the password.
	Secret string
}

// Cluster is a connection to one cluster, made when it is first used.
type Cluster struct {
	cfg Config

	mu     sync.Mutex
	client *kgo.Client
	// hasty is for producing with acks=1: a client puts acks of its own into each request.
	hasty *kgo.Client
	// known are the brokers that hasty knows.
	known  map[int32]bool
	closed bool
	// seen is what the broker that answered last can do.
	seen Version

	versionMu sync.Mutex
	version   *Version
}

// Open makes a cluster handle. It does not connect and cannot fail; the first request connects.
func Open(cfg Config) *Cluster { return &Cluster{cfg: cfg} }

// Object is what errors of this cluster are about.
func (c *Cluster) Object() understudy.Object { return c.cfg.Object }

// Close ends all connections and waits for them.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cl := range []*kgo.Client{c.client, c.hasty} {
		if cl != nil {
			cl.Close()
		}
	}
	c.client, c.hasty = nil, nil
	return nil
}

// Do sends one request to wherever the protocol says it belongs: any broker, the controller, a coordinator.
// It sends nothing after the lease's deadline, and neither the request nor its resending on a broken
// connection lasts beyond that deadline or RequestTimeout. For effects that must not happen twice use DoBroker.
func (c *Cluster) Do(ctx context.Context, lease understudy.Lease, req kmsg.Request) (kmsg.Response, error) {
	return c.send(ctx, lease, req, func(ctx context.Context, cl *kgo.Client) (kmsg.Response, error) {
		return cl.Request(ctx, req)
	})
}

// DoBroker sends one request to one broker, exactly once: it is never resent, not even when the connection
// breaks before the answer.
func (c *Cluster) DoBroker(ctx context.Context, lease understudy.Lease, broker int32, req kmsg.Request) (kmsg.Response, error) {
	return c.send(ctx, lease, req, func(ctx context.Context, cl *kgo.Client) (kmsg.Response, error) {
		return cl.Broker(int(broker)).Request(ctx, req)
	})
}

// ask sends one request that changes nothing to one broker. It is sent again when a connection turns out to be
// broken, within the same bounds.
func (c *Cluster) ask(ctx context.Context, lease understudy.Lease, broker int32, req kmsg.Request) (kmsg.Response, error) {
	return c.send(ctx, lease, req, func(ctx context.Context, cl *kgo.Client) (kmsg.Response, error) {
		return cl.Broker(int(broker)).RetriableRequest(ctx, req)
	})
}

func (c *Cluster) send(ctx context.Context, lease understudy.Lease, req kmsg.Request,
	call func(context.Context, *kgo.Client) (kmsg.Response, error),
) (kmsg.Response, error) {
	op := "kafka." + strings.ToLower(kmsg.NameForKey(req.Key()))
	bounded, cancel, cl, err := c.bounded(ctx, lease, op)
	if err != nil {
		return nil, err
	}
	defer cancel()
	resp, err := call(bounded, cl)
	if err != nil {
		return nil, c.failed(ctx, lease, op, err)
	}
	return resp, nil
}

// bounded gives the client, and the context in which a request may be sent; whoever sends it cancels that.
func (c *Cluster) bounded(ctx context.Context, lease understudy.Lease, op string) (context.Context, context.CancelFunc, *kgo.Client, error) {
	within, cancel, err := bound(ctx, lease, op, c.cfg.Object)
	if err != nil {
		return nil, nil, nil, err
	}
	cl, err := c.connect(within)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return within, cancel, cl, nil
}

// bound limits a request by the caller, the lease and RequestTimeout; it refuses when the lease is over.
func bound(ctx context.Context, lease understudy.Lease, op string, o understudy.Object) (context.Context, context.CancelFunc, error) {
	end := time.Now().Add(RequestTimeout)
	if lease.Deadline != nil {
		d := lease.Deadline()
		if !time.Now().Before(d) {
			return nil, nil, leaseOver(op, o)
		}
		if d.Before(end) {
			end = d
		}
	}
	bounded, cancel := context.WithDeadline(ctx, end)
	return bounded, cancel, nil
}

func (c *Cluster) connect(ctx context.Context) (*kgo.Client, error) {
	return c.open(ctx, &c.client)
}

// open gives one of the clients, made when it is first asked for.
func (c *Cluster) open(ctx context.Context, at **kgo.Client, more ...kgo.Opt) (*kgo.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka.connect", Object: c.cfg.Object, Summary: "the workload is closed"}
	}
	if *at != nil {
		return *at, nil
	}
	opts, err := c.cfg.options(ctx)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, invalid("kafka.connect", c.cfg.Object, "the endpoint's configuration is not usable", err)
	}
	*at = cl
	return cl, nil
}

func (cfg Config) options(ctx context.Context) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("understudy"),
		kgo.RetryTimeout(RequestTimeout),
		kgo.RequestTimeoutOverhead(RequestTimeout),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.BrokerMaxReadBytes(256 << 20),
		kgo.BrokerMaxWriteBytes(256 << 20),
		kgo.DisableClientMetrics(), // KIP-714; they would go out whenever the client likes, lease or not
	}
	dial := conn.TCP(dialTimeout)
	if cfg.TLS != nil {
		conf, err := cfg.tls(ctx)
		if err != nil {
			return nil, err
		}
		dial = conn.TLS(dialTimeout, conf)
	}
	opts = append(opts, kgo.Dialer(dial))
	if cfg.SASL != nil {
		m, err := cfg.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (cfg Config) tls(ctx context.Context) (*tls.Config, error) {
	conf := &tls.Config{ServerName: cfg.TLS.ServerName, MinVersion: tls.VersionTLS12}
	if cfg.TLS.CA != "" {
		pem, err := cfg.Secret(ctx, cfg.TLS.CA)
		if err != nil {
			return nil, invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q (tls.ca) cannot be read", cfg.TLS.CA), err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q (tls.ca) holds no PEM certificate", cfg.TLS.CA), nil)
		}
	}
	if cfg.TLS.Cert == "" {
		return conf, nil
	}
	cert, err := cfg.Secret(ctx, cfg.TLS.Cert)
	if err != nil {
		return nil, invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q (tls.cert) cannot be read", cfg.TLS.Cert), err)
	}
	key, err := cfg.Secret(ctx, cfg.TLS.Key)
	if err != nil {
		return nil, invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q (tls.key) cannot be read", cfg.TLS.Key), err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, invalid("kafka.connect", cfg.Object, "tls.cert and tls.key are not a pair", nil)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

func (cfg Config) mechanism() (sasl.Mechanism, error) {
	login := func(ctx context.Context) (user, pass string, err error) {
		v, err := cfg.Secret(ctx, cfg.SASL.Secret)
		if err != nil {
			return "", "", invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q (sasl.secret) cannot be read", cfg.SASL.Secret), err)
		}
		pass = strings.TrimRight(string(v), "\r\n")
		if cfg.SASL.User != "" {
			return cfg.SASL.User, pass, nil
		}
		user, pass, ok := strings.Cut(pass, ":")
		if !ok {
			return "", "", invalid("kafka.connect", cfg.Object, fmt.Sprintf("secret %q must hold user:password, because sasl.user is not given", cfg.SASL.Secret), nil)
		}
		return user, pass, nil
	}
	scramLogin := func(ctx context.Context) (scram.Auth, error) {
		u, p, err := login(ctx)
		return scram.Auth{User: u, Pass: p}, err
	}
	switch cfg.SASL.Mechanism {
	case "PLAIN":
		return plain.Plain(func(ctx context.Context) (plain.Auth, error) {
			u, p, err := login(ctx)
			return plain.Auth{User: u, Pass: p}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(scramLogin), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(scramLogin), nil
	}
	return nil, invalid("kafka.connect", cfg.Object, fmt.Sprintf("sasl.mechanism %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", cfg.SASL.Mechanism), errors.ErrUnsupported)
}
