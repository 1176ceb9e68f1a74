package adls_test

import (
	"context"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	lab "github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// TestFlippedOnTheWire flips one byte on the way to the account and back.
func TestFlippedOnTheWire(t *testing.T) {
	s := boot(t, lab.Config{})
	filecopytest.RunWire(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Wire {
		way, err := proxy.Listen("127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(s.Addr())
		aside := s.tree(t, smallParts)
		root := strings.TrimPrefix(aside.Describe().Name[strings.Index(aside.Describe().Name, lake):], lake+"/")
		url := "http://" + way.Addr() + "/" + lab.AccountName
		client, err := lab.OpenClient(url, lake)
		must(t, err)
		return filecopytest.Wire{
			Over: at(t, url, root, smallParts), Aside: aside, Flip: way.Flip, Flips: func() int64 { return way.Counts().Flipped },
			Put: func(ctx context.Context, p filecopy.Path, content string) error {
				return client.Put(ctx, root+"/"+string(p), []byte(content))
			},
		}
	})
}
