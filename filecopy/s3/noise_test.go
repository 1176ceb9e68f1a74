package s3_test

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/proxy"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// noisy leads to an address by a way on which bytes can be flipped.
func noisy(t *testing.T, addr string) *proxy.Proxy {
	t.Helper()
	way, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = way.Close() })
	way.Forward(addr)
	return way
}

// bare writes an object with the client library alone, and with nothing that tells what it should be.
func bare(ctx context.Context, addr, key, content string) error {
	c, err := minio.NewCore(addr, &minio.Options{
		Creds: credentials.NewStaticV4(versitygw.AccessKey, versitygw.SecretKey, ""), Region: versitygw.Region,
	})
	if err == nil {
		unchecked := minio.PutObjectOptions{DisableContentSha256: true}
		_, err = c.PutObject(ctx, bucket, key, strings.NewReader(content), int64(len(content)), "", "", unchecked)
	}
	return err
}

// TestFlippedOnTheWire flips one byte on the way to a real server and back, over plain HTTP.
func TestFlippedOnTheWire(t *testing.T) {
	site := boot(t)
	filecopytest.RunWire(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Wire {
		way := noisy(t, site.server.Addr())
		root := strings.ToLower(t.Name()) + "/tree"
		open := func(url string) *s3.Store {
			c := site.config(root)
			c.Endpoint.URL = url
			s, err := s3.New(c)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return filecopytest.Wire{
			Over: open("http://" + way.Addr()), Aside: open(site.server.Endpoint()), Flip: way.Flip,
			Flips: func() int64 { return way.Counts().Flipped },
			Put: func(ctx context.Context, p filecopy.Path, content string) error {
				return bare(ctx, way.Addr(), root+"/"+string(p), content)
			},
		}
	})
	t.Run("TLS", func(t *testing.T) { flippedUnderTLS(t, site) })
}

// flippedUnderTLS flips a byte of what is encrypted, of an object of which nobody says a sum: TLS finds it, and the reading is taken up again.
func flippedUnderTLS(t *testing.T, site *site) {
	at, err := url.Parse(site.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	// The signature covers the host that the client named.
	through := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host
	}})
	defer through.Close()
	way := noisy(t, through.Listener.Addr().String())
	content := strings.Repeat("nobody says what this sums to; ", 100_000)
	if err := bare(t.Context(), site.server.Addr(), "tls/tree/bare", content); err != nil {
		t.Fatal(err)
	}
	c := site.config("tls/tree")
	c.Endpoint.URL = "https://" + way.Addr()
	c.Endpoint.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: through.Certificate().Raw})
	source, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	// The head of a full record of application data ends with its length.
	way.Flip(true, "\x17\x03\x03\x40\x11", 1)
	target := folder(t)
	set, err := native.New(t.TempDir()).Run(t.Context(), filecopy.Job{Name: "tls", Source: source, Target: target}, nil)
	if err != nil || way.Counts().Flipped != 1 {
		t.Fatalf("set = %+v, %v, %d bytes were flipped", set, err, way.Counts().Flipped)
	}
	if got, err := os.ReadFile(filepath.Join(target.Describe().Name, "bare")); err != nil || string(got) != content {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
}
