package blob_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// where is an account with the root of a tree in it: what a process that will be killed is told.
func where(account, root string) string { return account + " " + root }

// victim copies files into the container, of which the last ones have several blocks.
func victim() filecopytest.Victim {
	return filecopytest.Victim{Tree: scenery.Tree{Files: 4}, Kills: 6, Least: 1, Span: 60, Readers: 2, Open: openKilled}
}

func openKilled(_ context.Context, dir, at string, say func(string)) (filecopytest.Errand, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopytest.Errand{}, err
	}
	account, root, _ := strings.Cut(at, " ")
	target, err := blob.New(blob.Config{URL: account, Keys: labKeys, Container: lake, Root: root, PartSize: 1000})
	job := filecopy.Job{
		Name: "killed", Source: source, Target: filecopytest.Telling(target, say), Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1},
	}
	return filecopytest.Errand{Mover: native.New(filepath.Join(dir, "mover")), Job: job}, err
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a process at random calls of its store while readers look at the blobs, and lets the next one go on. The emulator
// itself is not killed: it forgets what it was told last.
func TestKilledAnywhere(t *testing.T) {
	s := boot(t)
	root := s.root()
	at := where(s.server.Endpoint(), root)
	k := victim().Begin(t, filecopytest.Setting{Dir: t.TempDir(), At: at, Read: func(ctx context.Context, path string) (string, error) {
		answer, err := s.client.NewBlobClient(root+"/"+path).DownloadStream(ctx, nil)
		if bloberror.HasCode(err, bloberror.BlobNotFound) {
			return "", filecopy.ErrNotFound
		}
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(answer.Body)
		return string(b), errors.Join(err, answer.Body.Close())
	}})
	k.Movers()
}
