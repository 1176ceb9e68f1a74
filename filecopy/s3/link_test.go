package s3_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/internal/line"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// guest is a user who may do what the policy of a bucket says, with a secret of its own.
const (
	guests      = "guests"
	guest       = "guest"
	guestSecret = "guestsecret"
)

// permit has the policy of the bucket allow the guest some calls.
func permit(ctx context.Context, root *versitygw.Client, calls string) error {
	return root.SetPolicy(ctx, guests, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":[%s],`+
		`"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%s/*"]}]}`, guest, calls, guests, guests))
}

// TestTheLinkIsCutAndRightsAreRevoked cuts the way to a real server amid runs, and takes rights from a user of it by the policy of the bucket.
func TestTheLinkIsCutAndRightsAreRevoked(t *testing.T) {
	site := boot(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// A bucket without a list of its own, as a directory is, cannot be copied within by a guest.
	c, err := minio.New(site.server.Addr(), &minio.Options{
		Creds: credentials.NewStaticV4(versitygw.AccessKey, versitygw.SecretKey, ""), Region: versitygw.Region,
	})
	must(err)
	must(c.MakeBucket(t.Context(), guests, minio.MakeBucketOptions{}))
	must(site.server.AddUser(t.Context(), guest, guestSecret))
	root, err := site.server.Client(versitygw.AccessKey, versitygw.SecretKey)
	must(err)
	grant := func() error { return permit(t.Context(), root, `"s3:*"`) }
	must(grant())
	filecopytest.RunLink(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		way := noisy(t, site.server.Addr())
		c := site.config(fmt.Sprintf("l%d/tree", site.made.Add(1)))
		c.Bucket = guests
		aside, err := s3.New(c)
		must(err)
		c.Endpoint.URL = "http://" + way.Addr()
		c.Endpoint.Keys = func(context.Context) (s3.Keys, error) { return s3.Keys{Access: guest, Secret: guestSecret}, nil }
		over, err := s3.New(c)
		must(err)
		return filecopytest.Link{
			Over: over, Aside: aside, CutAfter: way.CutAfter, Heal: way.Heal, Grant: grant,
			Revoke: func(reading bool) error {
				if reading {
					return permit(t.Context(), root, `"s3:ListBucket"`)
				}
				return permit(t.Context(), root, `"s3:ListBucket","s3:GetObject"`)
			},
		}
	})
}

// TestTheWayIsFrozen has the way to a real server swallow everything amid runs, and close nothing.
func TestTheWayIsFrozen(t *testing.T) {
	site := boot(t)
	filecopytest.RunFrozen(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		way := noisy(t, site.server.Addr())
		c := site.config(fmt.Sprintf("f%d/tree", site.made.Add(1)))
		aside, err := s3.New(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Endpoint.URL = "http://" + way.Addr()
		c.Endpoint = c.Endpoint.Within(frozen())
		over, err := s3.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return filecopytest.Link{Over: over, Aside: aside, CutAfter: way.FreezeAfter, Heal: way.Heal}
	})
}

// frozen are limits for a way on this machine.
func frozen() line.Limits {
	return line.Limits{Open: 10 * time.Second, Brief: 10 * time.Second, Silence: time.Second, Answer: time.Second}
}
