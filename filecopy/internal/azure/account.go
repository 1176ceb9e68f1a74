package azure

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/line"
)

// Keys are an account's.
type Keys struct {
	Account string
	// Key is in base64.
	Key string
}

const (
	// keysLive is how long keys are used before they are looked up again.
	keysLive = 5 * time.Minute
	// keysRest is how long they are not looked up again, whatever the service refuses: what keeps them may be slow, and a right that is missing
	// comes with no other keys.
	keysRest = 5 * time.Second
	// tries of one request after the first, with growing pauses between.
	tries    = 4
	maxPause = 2 * time.Second

	// idlePerHost is how many connections wait for the next request, for idleFor at most: more than files are in flight.
	idlePerHost = 256
	idleFor     = 90 * time.Second
	// greetLimit is how long it may take to greet each other by TLS.
	greetLimit = 30 * time.Second

	defaultPart = 16 << 20
	largestPart = 100 << 20
)

// Account reads the URL of an account's service, such as blob or dfs.
func Account(at, service string) (*url.URL, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("an account is a URL such as https://ACCOUNT.%s.core.windows.net, not %q", service, at)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Clients keeps what an account's keys opened, until the keys are looked up again: after a while, or when the service refuses them, but not within a few seconds. It is
// safe for concurrent use.
type Clients[C any] struct {
	mu  sync.Mutex
	all C
	// from is when the keys were looked up, and until how long they are good.
	from, until time.Time
	wire        *http.Client
	once        sync.Once
	// Limits say when a connection counts as lost; nil means the usual ones.
	Limits *line.Limits
	// now is the clock; nil is time.Now.
	now func() time.Time
}

func (c *Clients[C]) clock() time.Time {
	if c.now != nil {
		return c.now()
	}
	return time.Now()
}

// Get gives the clients, with keys that are not too old.
func (c *Clients[C]) Get(ctx context.Context, keys func(context.Context) (Keys, error), dial func(Keys) (C, error)) (C, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock().Before(c.until) {
		return c.all, nil
	}
	var none C
	k, err := keys(ctx)
	if err != nil {
		return none, fmt.Errorf("look up the keys: %w", err)
	}
	if c.all, err = dial(k); err != nil {
		return none, err
	}
	c.from = c.clock()
	c.until = c.from.Add(keysLive)
	return c.all, nil
}

// Options are those of clients that dial opens.
func (c *Clients[C]) Options(policies ...policy.Policy) policy.ClientOptions {
	return c.Stranger(append(policies, c)...)
}

// Stranger are the options of a client with other means than the account's keys, on the same connections. They outlive the keys: the SDK's own client
// keeps ten of them, and opens all others anew for each request; and it waits without end for an answer.
func (c *Clients[C]) Stranger(policies ...policy.Policy) policy.ClientOptions {
	c.once.Do(func() {
		limits := line.Usual()
		if c.Limits != nil {
			limits = *c.Limits
		}
		c.wire = &http.Client{Transport: limits.Watch(&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: greetLimit,
			MaxIdleConns: idlePerHost, MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleFor,
		})}
	})
	o := patience(policies...)
	o.Transport = c.wire
	return o
}

// Do sends a request, and has the keys looked up again for the next one when the service refuses this one, or a little later if they were only just:
// they may have been changed.
func (c *Clients[C]) Do(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	if resp != nil && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.until = c.from.Add(keysRest)
	}
	return resp, err
}

// Container opens a container. It asks nothing.
func Container(at string, k Keys, o policy.ClientOptions) (*container.Client, error) {
	credential, err := container.NewSharedKeyCredential(k.Account, k.Key)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	return container.NewClientWithSharedKeyCredential(at, credential, &container.ClientOptions{ClientOptions: o})
}

// patience says how requests are tried again.
func patience(policies ...policy.Policy) policy.ClientOptions {
	return policy.ClientOptions{
		Retry:           policy.RetryOptions{MaxRetries: tries, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: maxPause},
		PerCallPolicies: policies,
	}
}

// Skew asks for a root, and says how far the service's clock is before ours, to the second.
func Skew(ctx context.Context, probe func(context.Context) (filecopy.Root, error)) (time.Duration, error) {
	sent := time.Now()
	root, err := probe(ctx)
	if err != nil {
		return 0, err
	}
	return root.Now.Sub(sent.Add(time.Since(sent) / 2)).Round(time.Second), nil
}

// Clock gives the service's time, or ours where it tells none.
func Clock(said *time.Time) time.Time {
	if said == nil {
		return time.Now()
	}
	return *said
}

// Part checks the size of parts, in bytes; zero means 16 MiB.
func Part(size int64) (int64, error) {
	if size == 0 {
		return defaultPart, nil
	}
	if size < 1 || size > largestPart {
		return 0, fmt.Errorf("a part has between 1 and %d bytes, not %d", largestPart, size)
	}
	return size, nil
}

// PartSize grows the usual size, in whole MiB, where a file would have more parts than may be.
func PartSize(size, usual, most int64) int64 {
	const step = 1 << 20
	need := (size + most - 1) / most
	if need <= usual {
		return usual
	}
	return (need + step - 1) / step * step
}

// Unfit says what keeps a name from being one, or being listed as it is; empty for nothing. The services and their clients change names whose
// elements end with a dot, and backslashes; controls are characters that one of them does not keep.
func Unfit(name, controls string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case filecopy.Unlisted(name) >= 0 || strings.ContainsAny(name, controls):
		return "holds a control character"
	case strings.Contains(name, `\`):
		return "holds a backslash"
	case strings.HasSuffix(name, ".") || strings.Contains(name, "./"):
		return "has an element that ends with a dot"
	}
	return ""
}
