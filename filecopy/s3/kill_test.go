package s3_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

const (
	killRoot  = "killed/tree"
	killFiles = 4
)

// victim copies files into the bucket, of which the last one has several parts. Three readers look at everything without pause; more of them
// only keep the mover from the processor.
func victim() filecopytest.Victim {
	last := func(i int) int { return i / (killFiles - 1) * partSize / 8 }
	return filecopytest.Victim{
		Tree: scenery.Tree{Files: killFiles, Pieces: last}, Kills: 8, Least: 1, Span: 60, Readers: 3, Open: openKilled,
	}
}

func openKilled(_ context.Context, dir, url string, say func(string)) (filecopytest.Errand, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopytest.Errand{}, err
	}
	target, err := s3.New(s3.Config{
		Endpoint: s3.Endpoint{URL: url, Region: versitygw.Region, Keys: labKeys}, Bucket: bucket, Root: killRoot, PartSize: partSize,
	})
	job := filecopy.Job{
		Name: "killed", Source: source, Target: filecopytest.Telling(target, say), Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1},
	}
	return filecopytest.Errand{Mover: native.New(filepath.Join(dir, "mover")), Job: job}, err
}

// beginKilled makes a first set, which is read with the client library alone.
func beginKilled(t *testing.T) (*filecopytest.Killed, *versitygw.Server) {
	server := boot(t).server
	c, err := minio.New(server.Addr(), &minio.Options{
		Creds: credentials.NewStaticV4(versitygw.AccessKey, versitygw.SecretKey, ""), Region: versitygw.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	return victim().Begin(t, filecopytest.Setting{Dir: t.TempDir(), At: server.Endpoint(), Read: func(ctx context.Context, path string) (string, error) {
		o, err := c.GetObject(ctx, bucket, killRoot+"/"+path, minio.GetObjectOptions{})
		if err != nil {
			return "", err
		}
		defer func() { _ = o.Close() }()
		b, err := io.ReadAll(o)
		if minio.ToErrorResponse(err).Code == "NoSuchKey" {
			err = filecopy.ErrNotFound
		}
		return string(b), err
	}}), server
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a process at random calls of its store while readers look at the bucket, and lets the next one go on.
func TestKilledAnywhere(t *testing.T) {
	k, _ := beginKilled(t)
	k.Movers()
}

// TestKilledServer kills -9 the server at some call of a run, with other calls in flight, and starts it again. The run lives through it, or the
// next one ends it; each file is whole in between.
func TestKilledServer(t *testing.T) {
	k, server := beginKilled(t)
	k.Servers(0, 17, func() error { return errors.Join(server.Kill(), server.Restart(context.Background())) })
}

// largeVictim is killed within one file of 13 parts.
func largeVictim() filecopytest.Large {
	return filecopytest.Large{Size: 64 << 20, Kill: 9, Run: runLarge}
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

func largeTarget(url string) (*s3.Store, error) {
	return s3.New(s3.Config{
		Endpoint: s3.Endpoint{URL: url, Region: versitygw.Region, Keys: labKeys}, Bucket: bucket, Root: "large/tree", PartSize: partSize,
	})
}

// TestLargeChild is the process that is killed within a large file.
func TestLargeChild(t *testing.T) { largeVictim().Child(t) }

// TestALargeFileGoesOn kills -9 a process in the middle of an upload, and counts what the next one sends.
func TestALargeFileGoesOn(t *testing.T) {
	site := boot(t)
	way := noisy(t, site.server.Addr())
	seen, err := largeTarget(site.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	largeVictim().GoesOn(t, t.TempDir(), site.server.Endpoint(), "http://"+way.Addr(), seen, func() int64 { return way.Counts().Out })
}
