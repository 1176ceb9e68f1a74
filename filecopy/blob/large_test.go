package blob_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// largeVictim is killed within one file of 16 blocks.
func largeVictim() filecopytest.Large {
	return filecopytest.Large{Size: 64 << 20, Kill: 10, Run: runLarge}
}

func runLarge(ctx context.Context, dir, url string, through func(filecopy.Target) filecopy.Target) (filecopy.Set, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Set{}, err
	}
	target, err := largeTarget(url)
	if err != nil {
		return filecopy.Set{}, err
	}
	return native.New(filepath.Join(dir, "mover")).Run(ctx, filecopy.Job{Name: "large", Source: source, Target: through(target)}, nil)
}

func largeTarget(url string) (*blob.Store, error) {
	return blob.New(blob.Config{URL: url, Keys: labKeys, Container: lake, Root: "goeson/tree", PartSize: 4 << 20})
}

// TestLargeChild is the process that is killed; on its own it does nothing.
func TestLargeChild(t *testing.T) { largeVictim().Child(t) }

// TestALargeFileGoesOn kills -9 a process in the middle of a large file, and counts what the next one sends.
func TestALargeFileGoesOn(t *testing.T) {
	s := boot(t)
	way, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	way.Forward(s.server.Addr())
	seen, err := largeTarget(s.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	over := "http://" + way.Addr() + "/" + azurite.Account
	largeVictim().GoesOn(t, t.TempDir(), s.server.Endpoint(), over, seen, func() int64 { return way.Counts().Out })
}
