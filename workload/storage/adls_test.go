package storage_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// lake is a file system of ADLS, for the key of the account, whom nothing refuses anything.
type lake struct{ *adls.Client }

func (l lake) put(ctx context.Context, key string, c []byte) error { return l.Put(ctx, key, c) }
func (l lake) get(ctx context.Context, key string) ([]byte, error) { return l.Get(ctx, key) }
func (l lake) remove(ctx context.Context, key string) error        { return l.Remove(ctx, key) }
func (l lake) refused(context.Context, string) (bool, error)       { return false, nil }
func (l lake) list(ctx context.Context, dir string) (map[string]int64, error) {
	return l.List(ctx, dir)
}

// adlsShop serves an account in this process.
func adlsShop(t *testing.T) *shop {
	server := adls.Host(t, adls.Config{Page: 7})
	return &shop{addr: server.Addr(), fresh: func(t *testing.T, name, addr string) (things, any) {
		c, err := adls.OpenClient(server.Endpoint(), name)
		must(t, err)
		must(t, c.Make(t.Context()))
		return lake{c}, &storage.ADLS{URL: "http://" + addr + "/" + adls.AccountName, FileSystem: name, Prefix: "lake", Secret: "adls"}
	}}
}

// lakes is a pair of file systems.
func lakes(p *objectPair) *objectPair {
	p.open.Secret = func(_ context.Context, name string) ([]byte, error) {
		switch name {
		case "adls":
			return []byte(adls.Key() + "\n"), nil
		case "adls-stranger":
			return []byte("bm9ib2R5"), nil
		}
		return nil, fmt.Errorf("no secret %s", name)
	}
	return p
}

// barrier answers as a service does whose file system is gone: that counts as silence, unlike a refusal.
func barrier(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "FilesystemNotFound")
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// loser gives what loses a site at once and without second tries.
func (p *objectPair) loser(server, barrier string) func(context.Context, understudy.Site) (func() error, error) {
	return func(_ context.Context, site understudy.Site) (func() error, error) {
		lead := func(to string) error {
			p.way[site].Cut()
			p.way[site].Forward(to)
			p.way[site].Heal()
			return nil
		}
		return func() error { return lead(server) }, lead(barrier)
	}
}

// alike compares bytes, and the looks of all that lies below the roots.
func (p *objectPair) alike(ctx context.Context) error {
	if err := p.same(ctx); err != nil {
		return err
	}
	for _, tree := range trees() {
		var looks [2]map[string]string
		for i, site := range p.spec.Sites {
			var err error
			if looks[i], err = p.store[site].(lake).Looks(ctx, "lake"+tree); err != nil {
				return err
			}
		}
		if !maps.Equal(looks[0], looks[1]) {
			return fmt.Errorf("%s: east looks like\n%v\nand west like\n%v", tree, looks[0], looks[1])
		}
	}
	return nil
}

// TestADLS holds storage to the contract of workloads between two file systems, and to what it says of sides that nothing closes.
func TestADLS(t *testing.T) {
	s, shut := adlsShop(t), barrier(t)
	workloadtest.RunScheduled(t, func(t *testing.T) workloadtest.Harness {
		p := lakes(s.pair(t))
		return workloadtest.Harness{
			Kind: storage.Kind(), Spec: p.spec, Opening: p.open, Write: p.write, Unfenced: true, Same: p.alike, Damage: p.damage,
			Lose: p.loser(s.addr, shut), Patience: 2 * time.Minute,
		}
	})
	t.Run("nothing keeps writers out", func(t *testing.T) { unguarded(t, lakes(s.pair(t))) })
	t.Run("what is wrong is told", func(t *testing.T) { wrongLake(t, lakes(s.pair(t))) })
	t.Run("a file system that was made anew", func(t *testing.T) { anew(t, lakes(s.pair(t))) })
	t.Run("a protection that began anew", func(t *testing.T) { protectedAgain(t, lakes(s.pair(t))) })
}

// wrongLake names a key, a file system and an account that will not do.
func wrongLake(t *testing.T, p *objectPair) {
	e := p.spec.Clusters[east].(*storage.ADLS)
	told := func(code understudy.Code) {
		t.Helper()
		obs, err := p.opened().Observe(t.Context())
		must(t, err)
		wants(t, code, obs.Sites[east].Error)
	}
	e.Secret = "adls-stranger"
	told("US705")
	e.Secret, e.FileSystem = "adls", "absent"
	told("US730")
	flat := adls.Host(t, adls.Config{Flat: true})
	c, err := adls.OpenClient(flat.Endpoint(), "flat")
	must(t, err)
	must(t, c.Make(t.Context()))
	e.URL, e.FileSystem = flat.Endpoint(), "flat"
	told("US640")
}
