package blob_test

import (
	"context"
	"path/filepath"
	"strings"
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

func runLarge(ctx context.Context, dir, at string, through func(filecopy.Target) filecopy.Target) (filecopy.Set, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Set{}, err
	}
	target, err := largeTarget(at)
	if err != nil {
		return filecopy.Set{}, err
	}
	return native.New(filepath.Join(dir, "mover")).Run(ctx, filecopy.Job{Name: "large", Source: source, Target: through(target)}, nil)
}

func largeTarget(at string) (*blob.Store, error) {
	account, root, _ := strings.Cut(at, " ")
	return blob.New(blob.Config{URL: account, Keys: labKeys, Container: lake, Root: root, PartSize: 4 << 20})
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
	root := s.root()
	past := where(s.server.Endpoint(), root)
	seen, err := largeTarget(past)
	if err != nil {
		t.Fatal(err)
	}
	over := where("http://"+way.Addr()+"/"+azurite.Account, root)
	largeVictim().GoesOn(t, t.TempDir(), past, over, seen, func() int64 { return way.Counts().Out })
}
