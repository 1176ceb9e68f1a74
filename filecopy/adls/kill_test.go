package adls_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	lab "github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/lab/proxy"
)

const killRoot = "killed/tree"

// victim copies files into the file system, of which the last ones have several appends.
func victim() filecopytest.Victim {
	return filecopytest.Victim{Tree: scenery.Tree{Files: 4}, Kills: 6, Least: 1, Span: 60, Readers: 4, Whole: true, Open: openKilled}
}

func openKilled(_ context.Context, dir, url string, say func(string)) (filecopytest.Errand, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopytest.Errand{}, err
	}
	target, err := adls.New(adls.Config{URL: url, Keys: labKeys, FileSystem: lake, Root: killRoot, PartSize: 1000, NoOwners: true})
	job := filecopy.Job{
		Name: "killed", Source: source, Target: filecopytest.Telling(target, say), Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1},
	}
	return filecopytest.Errand{Mover: native.New(filepath.Join(dir, "mover")), Job: job}, err
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a process at random calls of its store while readers look at the files, and lets the next one go on; then it
// kills the server at calls of a run, with others in flight, and starts it again over its log.
func TestKilledAnywhere(t *testing.T) {
	server := lab.Boot(t)
	key, err := container.NewSharedKeyCredential(lab.AccountName, lab.Key())
	must(t, err)
	// The client for files panics when no answer comes.
	blobs, err := container.NewClientWithSharedKeyCredential(client(t, server.Endpoint()).BlobURL(), key, nil)
	must(t, err)
	k := victim().Begin(t, filecopytest.Setting{Dir: t.TempDir(), At: server.Endpoint(), Read: func(ctx context.Context, path string) (string, error) {
		answer, err := blobs.NewBlobClient(killRoot+"/"+path).DownloadStream(ctx, nil)
		if bloberror.HasCode(err, bloberror.BlobNotFound, "PathNotFound") {
			return "", filecopy.ErrNotFound
		}
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(answer.Body)
		return string(b), errors.Join(err, answer.Body.Close())
	}})
	k.Servers(k.Movers(), 23, func() error { return errors.Join(server.Kill(), server.Restart(context.Background())) })
}

// largeVictim is killed within one file of 16 appends.
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

func largeTarget(url string) (*adls.Store, error) {
	return adls.New(adls.Config{URL: url, Keys: labKeys, FileSystem: lake, Root: "goeson/tree", PartSize: 4 << 20, NoOwners: true})
}

// TestLargeChild is the process that is killed within a large file.
func TestLargeChild(t *testing.T) { largeVictim().Child(t) }

// TestALargeFileGoesOn kills -9 a process in the middle of a large file, and counts what the next one sends.
func TestALargeFileGoesOn(t *testing.T) {
	s := boot(t, lab.Config{})
	way, err := proxy.Listen("127.0.0.1:0")
	must(t, err)
	defer way.Close()
	way.Forward(s.Addr())
	seen, err := largeTarget(s.Endpoint())
	must(t, err)
	over := "http://" + way.Addr() + "/" + lab.AccountName
	largeVictim().GoesOn(t, t.TempDir(), s.Endpoint(), over, seen, func() int64 { return way.Counts().Out })
}
