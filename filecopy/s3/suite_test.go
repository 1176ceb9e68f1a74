package s3_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

const bucket = "lake"

// site is one server with a bucket.
type site struct {
	server *versitygw.Server
	made   atomic.Int64
}

func boot(t *testing.T) *site {
	t.Helper()
	s := &site{server: versitygw.Boot(t)}
	if err := s.server.MakeBucket(bucket); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) config(root string) s3.Config {
	return s3.Config{
		Endpoint: s3.Endpoint{URL: s.server.Endpoint(), Region: versitygw.Region, Keys: labKeys},
		Bucket:   bucket, Root: root, PartSize: 5 << 20,
	}
}

func labKeys(context.Context) (s3.Keys, error) {
	return s3.Keys{Access: versitygw.AccessKey, Secret: versitygw.SecretKey}, nil
}

// tree makes a store of a prefix that nobody used before.
func (s *site) tree(t *testing.T, change ...func(*s3.Config)) *s3.Store {
	t.Helper()
	c := s.config(fmt.Sprintf("t%d/tree", s.made.Add(1)))
	for _, f := range change {
		f(&c)
	}
	store, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func readBack(c *s3.Config) { c.ReadBack = true }

// TestSuiteOnS3 runs the suite on a real server, in both directions, against trees with directories, links and attributes: with small
// files staged as objects, all of them as uploads in parts, and read back as where a server computes no checksums.
func TestSuiteOnS3(t *testing.T) {
	s := boot(t)
	memory := func(*testing.T) filecopy.Target { return filecopytest.NewMemory("memory", true) }
	stored := func(parts bool, change ...func(*s3.Config)) func(*testing.T) filecopy.Target {
		return func(t *testing.T) filecopy.Target {
			tree := s.tree(t, change...)
			if parts {
				tree.InParts(0)
			}
			return tree
		}
	}
	for _, c := range []struct {
		name           string
		source, target func(*testing.T) filecopy.Target
		stride         int
	}{
		{"FromObjects", stored(false), folder, 19},
		{"ToObjects", memory, stored(false), 13},
		{"ToUploads", memory, stored(true), 17},
		{"ReadBack", memory, stored(false, readBack), 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			filecopytest.Run(t, filecopytest.Rig{
				Source: c.source, Target: c.target, Stride: c.stride,
				Mover: func(dir string) filecopy.Mover { return native.New(dir) },
			})
		})
	}
}

// folder makes a local tree.
func folder(t *testing.T) filecopy.Target {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	tree, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
