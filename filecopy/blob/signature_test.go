package blob_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy/blob"
)

// TestASignatureIsNotShown tries one where nobody answers, where somebody does whose certificate fails, and one that no URL can hold.
func TestASignatureIsNotShown(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent %s %s", r.Method, r.URL) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	const value = "notToBeShown"
	for name, c := range map[string]struct{ at, signature string }{
		"nobody there":  {"http://127.0.0.1:1", "?si=writers&sig=" + value},
		"a certificate": {secure.URL, "si=writers&sig=" + value},
		"two lines":     {"http://127.0.0.1:1", "si=writers\nsig=" + value},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := blob.OpenContainer(blob.Config{URL: c.at, Container: lake, Keys: func(context.Context) (blob.Keys, error) { return blob.Keys{}, nil }})
			if err != nil {
				t.Fatal(err)
			}
			denied, err := all.Denied(t.Context(), c.signature, "file")
			if denied || err == nil || strings.Contains(err.Error(), value) {
				t.Errorf("denied is %t: %v", denied, err)
			}
		})
	}
}
