package place

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
)

// vaultOf gives what is kept under names; a name that is not there is lost, "hung" is never read, and "none" is known to be empty.
func vaultOf(t *testing.T, kept map[string]string) kinds {
	return func(ctx context.Context, name string) ([]byte, error) {
		switch b, ok := kept[name]; {
		case ok:
			return []byte(b), nil
		case name == "hung":
			select {
			case <-ctx.Done():
			case <-t.Context().Done():
			}
			return nil, os.ErrDeadlineExceeded
		case name == "none":
			return nil, &understudy.Error{Code: "US435", Kind: understudy.KindInvalid, Summary: "the secret none is empty"}
		}
		return nil, os.ErrNotExist
	}
}

// doubts wants a look to leave open whether the store is there, and gives its error.
func doubts(t *testing.T, s Site) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := s.Look(ctx)
	if !errors.Is(err, ErrDoubtful) || !Doubtful(err) || errors.Is(err, ErrTurnedAway) || TurnedAway(err) {
		t.Errorf("looking gives %v", err)
	}
	return err
}

// TestASecretThatIsNoneLeavesADoubt looks at stores with secrets that were read and cannot be what they are for, where the store answers and where it
// does not: neither is asked.
func TestASecretThatIsNoneLeavesADoubt(t *testing.T) {
	const value = "not-to-be-shown"
	k := vaultOf(t, map[string]string{
		"keys": "a:b", "azure": "a2V5", "word": value, "nothing": "", "space": " \n", "no secret": value + ":", "no access": ":" + value,
		"two lines": "[default]\nkey: " + value, "a token of two lines": "a:b:" + value + "\nmore", "pem": "-----BEGIN CERTIFICATE-----\n" + value,
	})
	asked := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("somebody was asked %s %s", r.Method, r.URL) }))
	t.Cleanup(asked.Close)
	for _, url := range []string{asked.URL, gone} {
		for name, c := range map[string]struct {
			site   Site
			secret string
		}{
			"S3, one word":             {k.s3(url, "word"), "word"},
			"S3, empty keys":           {k.s3(url, "nothing"), "nothing"},
			"S3, keys of space":        {k.s3(url, "space"), "space"},
			"S3, keys known as empty":  {k.s3(url, "none"), "none"},
			"S3, no secret key":        {k.s3(url, "no secret"), "no secret"},
			"S3, no access key":        {k.s3(url, "no access"), "no access"},
			"S3, keys as in a file":    {k.s3(url, "two lines"), "two lines"},
			"S3, a token and more":     {k.s3(url, "a token of two lines"), "a token of two lines"},
			"S3, a word for a CA":      {k.signed(url, "keys", "word"), "word"},
			"S3, an empty CA":          {k.signed(url, "keys", "nothing"), "nothing"},
			"S3, a CA known as empty":  {k.signed(url, "keys", "none"), "none"},
			"S3, a CA cut short":       {k.signed(url, "keys", "pem"), "pem"},
			"S3, no keys, an empty CA": {k.signed(url, "lost", "nothing"), "nothing"},
			"Blob, no base64":          {k.blob(url, "word"), "word"},
			"Blob, empty":              {k.blob(url, "nothing"), "nothing"},
			"Blob, known as empty":     {k.blob(url, "none"), "none"},
			"ADLS, no base64":          {k.adls(url, "word"), "word"},
			"ADLS, space":              {k.adls(url, "space"), "space"},
			"ADLS, known as empty":     {k.adls(url, "none"), "none"},
		} {
			t.Run(name, func(t *testing.T) {
				err := doubts(t, c.site)
				coded := understudy.AsError(err)
				if coded == nil || coded.Kind != understudy.KindInvalid || coded.Code != "US743" && coded.Code != emptyCode || !strings.Contains(coded.Summary, "the secret "+c.secret+" ") {
					t.Errorf("the error is %+v", coded)
				}
				if c.secret != "none" && coded.Fix == "" || strings.Contains(fmt.Sprintf("%v %+v", err, coded), value) {
					t.Errorf("the error is %v: %+v", err, coded)
				}
			})
		}
	}
}

// otherAuthority is one that signed nobody's certificate.
func otherAuthority(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, a, a, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM(raw)
}

func inPEM(raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// TestACertificateThatFailsLeavesADoubt looks at a server whose certificate does not stand up to those that we know: of another authority, in another
// name, or unknown to the system. It is sent nothing.
func TestACertificateThatFailsLeavesADoubt(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent %s %s", r.Method, r.URL) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	k := vaultOf(t, map[string]string{"keys": "a:b", "azure": "a2V5", "ours": inPEM(secure.Certificate().Raw), "other": otherAuthority(t)})
	for name, site := range map[string]Site{
		"S3, another authority":        k.signed(secure.URL, "keys", "other"),
		"S3, another name":             k.signed(strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), "keys", "ours"),
		"S3, the system's":             k.s3(secure.URL, "keys"),
		"S3, lost keys":                k.signed(secure.URL, "lost", "other"),
		"S3, hung keys":                k.signed(secure.URL, "hung", "other"),
		"Blob, the system's":           k.blob(secure.URL, "azure"),
		"Blob, lost key, the system's": k.blob(secure.URL, "lost"),
		"ADLS, the system's":           k.adls(secure.URL, "azure"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := doubts(t, site); !Untrusted(err) {
				t.Errorf("the certificate is not named in %v", err)
			}
		})
	}
}

// TestNoSecureConnectionLeavesADoubt looks at servers that speak plain HTTP where TLS is asked for, that know old versions of it only, or want a certificate
// of ours.
func TestNoSecureConnectionLeavesADoubt(t *testing.T) {
	plain := strings.Replace(answers(t, http.StatusForbidden, "x-amz-request-id", "InvalidAccessKeyId"), "http:", "https:", 1)
	serve := func(c *tls.Config) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent %s %s", r.Method, r.URL) }))
		s.Config.ErrorLog, s.TLS = log.New(io.Discard, "", 0), c
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	old, wants := serve(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), serve(&tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert})
	k := vaultOf(t, map[string]string{"keys": "a:b", "azure": "a2V5", "ours": inPEM(wants.Certificate().Raw)})
	for name, site := range map[string]Site{
		"S3, plain HTTP":            k.s3(plain, "keys"),
		"S3, plain HTTP, lost keys": k.s3(plain, "lost"),
		"S3, plain HTTP, lost CA":   k.signed(plain, "keys", "lost"),
		"S3, old versions":          k.s3(old.URL, "keys"),
		"S3, hung keys":             k.s3(old.URL, "hung"),
		"S3, a certificate of ours": k.signed(wants.URL, "keys", "ours"),
		"Blob, plain HTTP":          k.blob(plain, "azure"),
		"Blob, old versions":        k.blob(old.URL, "azure"),
		"ADLS, plain HTTP":          k.adls(plain, "azure"),
		"ADLS, old versions":        k.adls(old.URL, "lost"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := doubts(t, site); Untrusted(err) {
				t.Errorf("a certificate is named in %v", err)
			}
		})
	}
}

// turning is a server of S3 with a certificate of its own, which turns everybody away.
func turning(t *testing.T) *httptest.Server {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-amz-request-id", "1")
		w.WriteHeader(http.StatusForbidden)
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	return secure
}

// TestOtherCertificatesAreTaken corrects the secret with the certificates: the next look goes by it.
func TestOtherCertificatesAreTaken(t *testing.T) {
	secure := turning(t)
	kept := map[string]string{"keys": "a:b", "ca": "none"}
	site := vaultOf(t, kept).signed(secure.URL, "keys", "ca")
	_ = doubts(t, site)
	kept["ca"] = otherAuthority(t)
	_ = doubts(t, site)
	kept["ca"] = inPEM(secure.Certificate().Raw)
	looked(t, site, true)
}

// TestOtherCertificatesAreTakenAfterLostKeys corrects both: that the certificates are wrong was found by the greeting alone.
func TestOtherCertificatesAreTakenAfterLostKeys(t *testing.T) {
	secure := turning(t)
	kept := map[string]string{"ca": otherAuthority(t)}
	site := vaultOf(t, kept).signed(secure.URL, "keys", "ca")
	_ = doubts(t, site)
	kept["keys"], kept["ca"] = "a:b", inPEM(secure.Certificate().Raw)
	looked(t, site, true)
}
