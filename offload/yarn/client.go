package yarn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// defaultTimeout bounds one request.
	defaultTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer: the counters of a job are some ten KiB, a list of applications some KiB for each.
	maxAnswer = 64 << 20
)

// Options say which YARN to speak to, and as whom.
type Options struct {
	// ResourceManagers are the web addresses host:port, or https://host:port, of one ResourceManager or of a highly available set in
	// any order.
	ResourceManagers []string
	// History is that of the MapReduce history server; empty when there is none, and then final counters are not known.
	History string
	// User is the one who submits, in simple authentication.
	User string
	// CallTimeout bounds one request to one server; 0 is 30 s.
	CallTimeout time.Duration
	// Dial opens connections; nil is a net.Dialer. Tests and proxies set it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client speaks to one YARN cluster. All its methods may be called from many goroutines at once.
type Client struct {
	managers []string
	history  string
	user     string
	timeout  time.Duration
	http     *http.Client
	// last is the ResourceManager that answered last.
	last atomic.Int64
}

// New gives a client. It asks nothing.
func New(o Options) (*Client, error) {
	if len(o.ResourceManagers) == 0 || o.User == "" {
		return nil, invalid("a client of YARN needs a ResourceManager and a user", nil)
	}
	c := &Client{user: o.User, timeout: o.CallTimeout}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	for _, address := range o.ResourceManagers {
		base, err := base(address)
		if err != nil {
			return nil, err
		}
		c.managers = append(c.managers, base)
	}
	if o.History != "" {
		var err error
		if c.history, err = base(o.History); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{
		Transport: &http.Transport{DialContext: o.Dial, DisableKeepAlives: true},
		// A redirect leads from a ResourceManager on standby to the active one by a name of its own choice, or from the proxy of an
		// application that has ended to somewhere else. Neither is followed: the first is in the list, the second is no answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// base makes a URL of an address.
func base(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return "", invalid(fmt.Sprintf("%q is no web address host:port", address), err)
	}
	return u.Scheme + "://" + u.Host, nil
}

// request is one question.
type request struct {
	op     string
	method string
	path   string
	query  url.Values
	body   any
	// about is the application or job that is asked for.
	about string
}

// errElsewhere is an answer of a server that sends us on to another one.
var errElsewhere = errors.New("sent on to another server")

// manager asks the ResourceManagers in turn, beginning with the one that answered last.
func (c *Client) manager(ctx context.Context, r request, out any) error {
	first := int(c.last.Load())
	var failed error
	for i := range c.managers {
		at := (first + i) % len(c.managers)
		err := c.ask(ctx, c.managers[at], r, out)
		if err == nil {
			c.last.Store(int64(at))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !passing(err) {
			return err
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", c.managers[at], err))
	}
	return unreachable(r, failed)
}

// passing says whether another ResourceManager may know better.
func passing(err error) bool {
	return errors.Is(err, errElsewhere) || errors.Is(err, errSilent)
}

// ask sends one request to one server.
func (c *Client) ask(ctx context.Context, base string, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	query := url.Values{"user.name": {c.user}}
	for k, v := range r.query {
		query[k] = v
	}
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, base+r.path+"?"+query.Encode(), body)
	if err != nil {
		return invalid("a request to YARN cannot be made", err)
	}
	q.Header.Set("Accept", "application/json")
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(q)
	if err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return judge(r, answer, text, out)
}

// errSilent is a server that gave no answer.
var errSilent = errors.New("no answer")

// judge reads an answer.
func judge(r request, answer *http.Response, text []byte, out any) error {
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(text, out); err != nil {
			return garbled(r, err)
		}
		return nil
	case code >= 300 && code < 400:
		return errElsewhere
	case code == http.StatusUnauthorized:
		return unauthenticated(r, answer.Header.Values("WWW-Authenticate"))
	case code == http.StatusServiceUnavailable, code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		return fmt.Errorf("%w: status %d", errSilent, code)
	}
	return refusal(r, answer.StatusCode, text)
}
