package blob_test

import (
	"context"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// TestFlippedOnTheWire flips one byte on the way to the emulator and back.
func TestFlippedOnTheWire(t *testing.T) {
	s := boot(t)
	filecopytest.RunWire(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Wire {
		way, err := proxy.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(s.server.Addr())
		root, url := s.root(), "http://"+way.Addr()+"/"+azurite.Account
		over, err := blob.New(blob.Config{URL: url, Keys: labKeys, Container: lake, Root: root, PartSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		client, err := azurite.OpenClient(url, lake)
		if err != nil {
			t.Fatal(err)
		}
		return filecopytest.Wire{
			Over: over, Aside: s.at(t, root, 1000), Flip: way.Flip, Flips: func() int64 { return way.Counts().Flipped },
			Put: func(ctx context.Context, p filecopy.Path, content string) error {
				return client.Put(ctx, root+"/"+string(p), []byte(content))
			},
		}
	})
}
