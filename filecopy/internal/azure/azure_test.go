package azure_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// TestAnswersHaveTheirMeaning goes by status and code, and by what one service alone means.
func TestAnswersHaveTheirMeaning(t *testing.T) {
	own := azure.Meaning{Means: filecopy.ErrChanged, Status: http.StatusConflict, Codes: []string{"Own"}}
	for _, c := range []struct {
		status  int
		code    string
		want    error
		refused bool
	}{
		{http.StatusBadRequest, "Md5Mismatch", filecopy.ErrCorrupt, false},
		{http.StatusBadRequest, "InvalidInput", nil, true},
		{http.StatusBadRequest, "Own", filecopy.ErrChanged, true},
		{http.StatusNotFound, "", filecopy.ErrNotFound, false},
		{http.StatusPreconditionFailed, "ConditionNotMet", filecopy.ErrChanged, false},
		{http.StatusConflict, "PathAlreadyExists", filecopy.ErrChanged, false},
		{http.StatusInternalServerError, "OperationTimedOut", filecopy.ErrBusy, false},
		{http.StatusTooManyRequests, "", filecopy.ErrBusy, false},
		{http.StatusForbidden, "AuthorizationFailure", fs.ErrPermission, false},
		{http.StatusInternalServerError, "InternalError", nil, false},
	} {
		said := &azcore.ResponseError{StatusCode: c.status, ErrorCode: c.code}
		err := azure.Tell(said, own)
		var back *azcore.ResponseError
		if !errors.As(err, &back) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%d %s = %v, want %v", c.status, c.code, err, c.want)
		}
		for _, other := range []error{filecopy.ErrCorrupt, filecopy.ErrNotFound, filecopy.ErrChanged, filecopy.ErrBusy, fs.ErrPermission} {
			if other != c.want && errors.Is(err, other) {
				t.Errorf("%d %s is %v", c.status, c.code, other)
			}
		}
		if azure.Refused(said) != c.refused {
			t.Errorf("%d %s: refused = %v", c.status, c.code, !c.refused)
		}
	}
	broken := errors.New("no route")
	if azure.Tell(nil) != nil || azure.Tell(broken) != broken || azure.Refused(broken) {
		t.Error("what no service said has a meaning")
	}
}

// TestKeysAreLookedUpOnce keeps what was opened, and nothing of what failed.
func TestKeysAreLookedUpOnce(t *testing.T) {
	var clients azure.Clients[string]
	broken := errors.New("no")
	asked := 0
	keys := func(context.Context) (azure.Keys, error) {
		if asked++; asked == 1 {
			return azure.Keys{}, broken
		}
		return azure.Keys{Account: "a"}, nil
	}
	dial := func(k azure.Keys) (string, error) {
		if asked == 2 {
			return "half", broken
		}
		return k.Account, nil
	}
	for range 2 {
		if got, err := clients.Get(t.Context(), keys, dial); !errors.Is(err, broken) || got != "" {
			t.Errorf("a failure = %q, %v", got, err)
		}
	}
	for range 2 {
		if got, err := clients.Get(t.Context(), keys, dial); err != nil || got != "a" || asked != 3 {
			t.Errorf("got %q, %v after %d look-ups", got, err, asked)
		}
	}
}

// TestChangedKeysAreTaken changes the key of an account: what is asked for after a refusal is asked for with the new one.
func TestChangedKeysAreTaken(t *testing.T) {
	valid := "SharedKey one:"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), valid) {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	var clients azure.Clients[*container.Client]
	now := time.Now()
	clients.At(func() time.Time { return now })
	names := []string{"one", "two", "three"}
	ask := func() error {
		c, err := clients.Get(t.Context(), func(context.Context) (azure.Keys, error) {
			k := azure.Keys{Account: names[0], Key: "a2V5"}
			names = names[1:]
			return k, nil
		}, func(k azure.Keys) (*container.Client, error) {
			return azure.Container(server.URL+"/lake", k, clients.Options())
		})
		if err == nil {
			_, err = c.GetProperties(t.Context(), nil)
		}
		return azure.Tell(err)
	}
	if err := errors.Join(ask(), ask()); err != nil {
		t.Error(err)
	}
	valid = "SharedKey two:"
	// They were looked up moments ago, so not again for each refusal.
	for range 3 {
		if err := ask(); !errors.Is(err, fs.ErrPermission) || len(names) != 2 {
			t.Errorf("the old key = %v, %v were not looked up", err, names)
		}
	}
	now = now.Add(5 * time.Second)
	if err := ask(); err != nil || len(names) != 1 {
		t.Errorf("the new key = %v, %v were not looked up", err, names)
	}
	valid = "SharedKey three:"
	now = now.Add(4 * time.Minute)
	if err := ask(); !errors.Is(err, fs.ErrPermission) || len(names) != 1 {
		t.Errorf("the second key = %v, %v were not looked up", err, names)
	}
	if err := ask(); err != nil || len(names) != 0 {
		t.Errorf("the third key = %v, %v were not looked up", err, names)
	}
}

// TestConnectionsAreUsedAgain asks as many things at once as a mover does, twice: the second time over the connections of the first.
func TestConnectionsAreUsedAgain(t *testing.T) {
	const together = 40
	var opened atomic.Int64
	var all sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		all.Done()
		all.Wait()
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	var clients azure.Clients[*container.Client]
	keys := func(context.Context) (azure.Keys, error) { return azure.Keys{Account: "a", Key: "a2V5"}, nil }
	c, err := clients.Get(t.Context(), keys, func(k azure.Keys) (*container.Client, error) {
		return azure.Container(server.URL+"/lake", k, clients.Options())
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		all.Add(together)
		var g errgroup.Group
		for range together {
			g.Go(func() error {
				_, err := c.GetProperties(t.Context(), nil)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	// One that has just answered may not be back yet when the next is asked for.
	if n := opened.Load(); n < together || n > together+together/2 {
		t.Errorf("%d connections were opened", n)
	}
}

// TestSumsAndVersionsAreRead reads what the services tell.
func TestSumsAndVersionsAreRead(t *testing.T) {
	if got := azure.SumOf("0000000a"); got != filecopy.SumOf(10) {
		t.Errorf("sum = %v", got)
	}
	for _, text := range []string{"", "a", "0000000x", "00000000a"} {
		if got := azure.SumOf(text); got.Known {
			t.Errorf("%q is the sum %v", text, got)
		}
	}
	value := "v"
	all := map[string]*string{"Understudy": &value, "None": nil}
	if azure.Metadata(all, azure.Mark) != "v" || azure.Metadata(all, "none") != "" {
		t.Error("metadata was not found by its name")
	}
	if azure.Plain(*azure.Quoted("x")) != "x" || azure.Pinned("") != nil || *azure.Pinned("x").ModifiedAccessConditions.IfMatch != `"x"` {
		t.Error("a version is another one")
	}
}
