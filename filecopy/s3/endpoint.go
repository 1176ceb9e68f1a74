package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/understudy-dr/understudy/filecopy/internal/line"
)

// Endpoint says how a server is reached.
type Endpoint struct {
	// URL is the server's: https://s3.eu-west-1.amazonaws.com, or http://host:9000. Nothing follows the port.
	URL string
	// Region is the one that requests are signed for; empty asks the server for the bucket's.
	Region string
	// CA are certificates in PEM that sign the server's; empty means the system's.
	CA []byte
	// Keys looks the account's keys up where they are kept. It is asked again every few minutes, and when the server refused a
	// request, so that keys can be changed while a job runs; but not again within a few seconds. Requests without keys are not made.
	Keys func(ctx context.Context) (Keys, error)

	// now is the clock of the keys; nil is time.Now.
	now func() time.Time
	// through sees every exchange.
	through *clock
	// limits say when a connection counts as lost; nil means the usual ones.
	limits *line.Limits
}

// Keys are an account's.
type Keys struct {
	Access string
	Secret string
	// Session is the token of keys that expire; else empty.
	Session string
}

const (
	// keysLive is how long keys are used before they are looked up again.
	keysLive = 5 * time.Minute
	// keysRest is how long they are not looked up again, whatever the server refuses: what keeps them may be slow, and a right that is missing
	// comes with no other keys.
	keysRest = 5 * time.Second
	// idlePerHost is how many connections wait for the next request: more than files are in flight.
	idlePerHost = 256
	// Tries of one request, with growing pauses of up to a second between. While bytes are staged the mover has its own patience, and
	// lowers its concurrency; elsewhere nobody else tries again.
	stagingTries = 4
	otherTries   = 12
)

// dial makes a client for staging and one for all else, on the same connections. It asks nothing.
func (e Endpoint) dial() (staging, other *minio.Core, err error) {
	at, err := url.Parse(e.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.Path != "" && at.Path != "/" {
		return nil, nil, fmt.Errorf("an S3 endpoint is a URL such as https://s3.eu-west-1.amazonaws.com or http://host:9000, not %q", e.URL)
	}
	if e.Keys == nil {
		return nil, nil, errors.New("an S3 endpoint needs the keys of an account")
	}
	transport, err := e.transport(at.Scheme == "https")
	if err != nil {
		return nil, nil, err
	}
	keys := &keyring{keys: e.Keys, now: e.now}
	if keys.now == nil {
		keys.now = time.Now
	}
	limits := line.Usual()
	if e.limits != nil {
		limits = *e.limits
	}
	var round http.RoundTripper = refusals{conditions{limits.Watch(transport)}, keys}
	if e.through != nil {
		e.through.next, round = round, e.through
	}
	options := minio.Options{
		Creds: credentials.New(keys), Secure: at.Scheme == "https", Transport: round, Region: e.Region,
	}
	options.MaxRetries = stagingTries
	if staging, err = minio.NewCore(at.Host, &options); err != nil {
		return nil, nil, err
	}
	options.MaxRetries = otherTries
	other, err = minio.NewCore(at.Host, &options)
	return staging, other, err
}

func (e Endpoint) transport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.MaxIdleConnsPerHost, t.MaxIdleConns = idlePerHost, idlePerHost
	if len(e.CA) == 0 {
		return t, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(e.CA) {
		return nil, errors.New("the certificates for an S3 endpoint are not PEM")
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return t, nil
}

// keyring gives the client keys, and looks them up again after a while.
type keyring struct {
	keys func(context.Context) (Keys, error)
	now  func() time.Time
	mu   sync.Mutex
	// from is when they were looked up, and until how long they are good.
	from, until time.Time
}

// RetrieveWithCredContext looks the keys up.
func (k *keyring) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	keys, err := k.keys(ctx)
	if err != nil {
		return credentials.Value{}, fmt.Errorf("look up the keys: %w", err)
	}
	if keys.Access == "" || keys.Secret == "" {
		return credentials.Value{}, errors.New("look up the keys: one of them is empty")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.from = k.now()
	k.until = k.from.Add(keysLive)
	return credentials.Value{
		AccessKeyID: keys.Access, SecretAccessKey: keys.Secret, SessionToken: keys.Session, SignerType: credentials.SignatureV4,
	}, nil
}

// Retrieve looks the keys up.
func (k *keyring) Retrieve() (credentials.Value, error) { return k.RetrieveWithCredContext(nil) }

// IsExpired says whether they are to be looked up again.
func (k *keyring) IsExpired() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.now().Before(k.until)
}

// refused has them looked up again for the next request, or a little later if they were only just.
func (k *keyring) refused() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = k.from.Add(keysRest)
}

// refusals has the keys looked up again for the next request when the server refuses one: they may have been changed.
type refusals struct {
	next http.RoundTripper
	keys *keyring
}

// RoundTrip looks at the answer.
func (r refusals) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err == nil && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized) {
		r.keys.refused()
	}
	return resp, err
}
