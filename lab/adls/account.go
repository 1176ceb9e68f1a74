package adls

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// AccountName is that of every server's account.
const AccountName = "labaccount"

// Key is the account's: made up, and worth nothing elsewhere.
func Key() string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("lab", 20))) }

// Config says how an account is served.
type Config struct {
	// Dir keeps what is stored; empty for an account that is forgotten when it is closed.
	Dir string
	// Port is a loopback port; zero for any.
	Port int
	// Account is the name of the account; empty for AccountName. Its key is Key.
	Account string
	// Flat serves an account without a hierarchical namespace, as far as clients ask whether it has one.
	Flat bool
	// Principals says which owners, groups and names in lists are taken; nil takes all.
	Principals func(name string) bool
	// Page is how many entries a page of a listing has at most, or of a delete; zero means 5,000 of a listing and no end of a delete.
	Page int
}

// readyLine is printed by Serve.
const readyLine = "adls is ready on "

// superuser owns what is made with the account's key.
const superuser = "$superuser"

// defaultUmask is the service's.
const defaultUmask = 0o027

// Account is an account that is served inside this process.
type Account struct {
	config  Config
	key     []byte
	server  *http.Server
	addr    string
	serving sync.WaitGroup
	failed  chan error

	mu    sync.Mutex
	state *state
}

// Open serves an account in this process, on loopback. Close it.
func Open(c Config) (*Account, error) {
	key, err := base64.StdEncoding.DecodeString(Key())
	if err != nil {
		return nil, err
	}
	if c.Account == "" {
		c.Account = AccountName
	}
	s, err := open(c.Dir)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", lab.Loopback(c.Port))
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	a := &Account{config: c, key: key, addr: l.Addr().String(), state: s, failed: make(chan error, 1)}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	a.serving.Go(func() {
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- err
		}
	})
	return a, nil
}

// Host serves an account for a test, without a directory, until the test ends.
func Host(t lab.Test, c Config) *Account {
	a, err := Open(c)
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Logf("close the account: %v", err)
		}
	})
	return a
}

// Addr is the address.
func (a *Account) Addr() string { return a.addr }

// Endpoint is the URL of the account.
func (a *Account) Endpoint() string { return "http://" + a.addr + "/" + a.config.Account }

// Close ends it with all connections.
func (a *Account) Close() error {
	err := a.server.Close()
	a.serving.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(err, a.state.close())
}

// Serve runs an account in this process until ctx ends, and says on out when it serves.
func Serve(ctx context.Context, c Config, out io.Writer) error {
	a, err := Open(c)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, readyLine+a.Endpoint()); err != nil {
		return errors.Join(err, a.Close())
	}
	select {
	case <-ctx.Done():
		return a.Close()
	case err := <-a.failed:
		return errors.Join(err, a.Close())
	}
}

// Damage flips a bit of a file's content behind the server's back: nothing else of it changes.
func (a *Account) Damage(fs, path string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.state.systems[fs]
	if f == nil || f.find(path) == nil || len(f.find(path).content) == 0 {
		return fmt.Errorf("%s/%s holds nothing", fs, path)
	}
	n := f.find(path)
	n.content = append([]byte{n.content[0] ^ 1}, n.content[1:]...)
	return nil
}
