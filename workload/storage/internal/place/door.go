package place

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// TurnedAway says whether an error is the word of a store itself that it does not let us in, so that it is there. What failed before it was asked
// is no word of it, and a KDC that refuses us, or that is gone, is none: but a NameNode asks who we are before we turn to one.
func TurnedAway(err error) bool {
	var login *hdfs.LoginError
	switch {
	case errors.Is(err, ErrTurnedAway):
		return true
	case unasked(err), strange(err), Doubtful(err):
		return false
	case errors.As(err, &login):
		return true
	}
	return errors.Is(err, hdfs.ErrUnauthenticated) || errors.Is(err, ErrRefused) || errors.Is(err, fs.ErrPermission) || errors.Is(err, s3.ErrElsewhere)
}

// Doubtful says whether an error leaves open if the store is there, so that neither a silence nor a refusal may be read into it. A secret that holds
// no credential is an error of our own configuration, and kept us from asking. A certificate that fails is somebody's: the store's, of which we were
// given the wrong certificates or which has a new one, or that of one who stands in its place, and who may pass on what others write. So is any other
// word by which somebody lets no secure connection come about.
func Doubtful(err error) bool {
	var m *malformed
	return errors.Is(err, ErrDoubtful) || errors.As(err, &m) || insecure(err)
}

// insecure says whether somebody answered with whom no secure connection comes about: his certificate fails, he refuses ours or our versions of TLS by an
// alert, or speaks something else, such as plain HTTP.
func insecure(err error) bool {
	var record tls.RecordHeaderError
	var said *net.OpError
	alert := errors.As(err, &said) && said.Op == "remote error"
	return Untrusted(err) || alert || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// Untrusted says whether an error is that of a server whose certificate does not stand up to those that we know.
func Untrusted(err error) bool {
	var foreign *tls.CertificateVerificationError
	return errors.As(err, &foreign)
}

// malformed is a secret that was read, and holds nothing that could be what it is for.
type malformed struct{ error }

// Unwrap gives the cause.
func (m *malformed) Unwrap() error { return m.error }

// amiss says what a secret should be, by its name, and never what it holds.
func amiss(name, form, fix string) error {
	return &malformed{&understudy.Error{
		Code: "US743", Kind: understudy.KindInvalid, Op: "storage.look",
		Summary: fmt.Sprintf("the secret %s is not %s", name, form),
		Fix:     fix + ", where serve's configuration says that it is kept",
	}}
}

// keysOf reads the keys of an account of S3. Space within them, such as a line that follows, could not be sent.
func keysOf(name string, secret []byte) (s3.Keys, error) {
	f := strings.SplitN(strings.TrimSpace(string(secret)), ":", 3)
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if len(f) < 2 || f[0] == "" || f[1] == "" || slices.ContainsFunc(f, func(s string) bool { return strings.ContainsFunc(s, odd) }) {
		return s3.Keys{}, amiss(name, "of the form ACCESS:SECRET", "write the account's keys as ACCESS:SECRET or ACCESS:SECRET:TOKEN on one line")
	}
	return s3.Keys{Access: f[0], Secret: f[1], Session: strings.Join(f[2:], "")}, nil
}

// keyOf reads the key of an account of Azure.
func keyOf(name string, secret []byte) (string, error) {
	key := strings.TrimSpace(string(secret))
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) == 0 {
		return "", amiss(name, "a key of an account in base64", "write one of the account's two keys as the portal shows it")
	}
	return key, nil
}

// certificates checks those that sign a server's.
func certificates(name string, secret []byte) ([]byte, error) {
	if !x509.NewCertPool().AppendCertsFromPEM(secret) {
		return nil, amiss(name, "a certificate in PEM", "write the certificates that sign the server's, each from BEGIN CERTIFICATE to END CERTIFICATE")
	}
	return secret, nil
}

// unread is a credential that could not be read where it is kept, or not be handed on: nobody was asked for anything.
type unread struct{ error }

// Unwrap gives the cause.
func (u *unread) Unwrap() error { return u.error }

// unasked says whether a login failed before the store was asked for it.
func unasked(err error) bool {
	var u *unread
	var login *hdfs.LoginError
	return errors.As(err, &u) || errors.As(err, &login) && login.Server == ""
}

// strange says whether we were refused by somebody who may not be the store: a proxy has the same numbers for what it refuses itself.
func strange(err error) bool {
	return errors.Is(err, filecopy.ErrStranger) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, s3.ErrElsewhere))
}

// emptyCode is that of a secret whose place was read and holds nothing.
const emptyCode understudy.Code = "US435"

// secrets marks what cannot be read as such, and what is empty.
func secrets(read func(context.Context, string) ([]byte, error)) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, name string) ([]byte, error) {
		b, err := read(ctx, name)
		var coded *understudy.Error
		switch {
		case errors.As(err, &coded) && coded.Code == emptyCode:
			return nil, &malformed{err}
		case err != nil:
			return nil, &unread{err}
		}
		return b, nil
	}
}

// vault knows which secrets were not read when last asked for, or are still being read: MinIO's client gives up waiting for the keys when the time of
// a request is over, and says only that.
type vault struct {
	read func(context.Context, string) ([]byte, error)
	shut sync.Map
}

func (v *vault) secret(ctx context.Context, name string) ([]byte, error) {
	v.shut.Store(name, nil)
	b, err := v.read(ctx, name)
	if err == nil {
		v.shut.Delete(name)
	}
	return b, err
}

// blame gives an end of the time to a secret for which it was waited.
func (v *vault) blame(err error, name string) error {
	if _, shut := v.shut.Load(name); shut && errors.Is(err, context.DeadlineExceeded) {
		return &unread{err}
	}
	return err
}

// greeting asks whether somebody is there at all, without a login; an error may say who it is not.
type greeting func(ctx context.Context) (bool, error)

// meet looks, and gives what the look met the meaning that it has here. Where we have nothing to log in with, or it was not the store that
// refused us, it is greeted. That begins when half of the time is over: what keeps a secret may take all of it, and then says nothing about the store.
func meet(ctx context.Context, look func(context.Context) (Identity, error), greet greeting) (Identity, error) {
	greets, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan struct{})
	there, foreign := false, error(nil)
	var beside sync.WaitGroup
	beside.Go(func() {
		if halfway(greets, failed) {
			there, foreign = greet(greets)
		}
	})
	id, err := look(ctx)
	unknown := unasked(err) || strange(err)
	if !unknown {
		cancel()
	}
	close(failed)
	beside.Wait()
	switch {
	case err == nil:
	case TurnedAway(err), unknown && there:
		err = fmt.Errorf("%w: %w", ErrTurnedAway, err)
	case Doubtful(err):
		err = fmt.Errorf("%w: %w", ErrDoubtful, err)
	case insecure(foreign):
		// A client that tries again until the time is over says only that it is.
		err = fmt.Errorf("%w: %w: %w", ErrDoubtful, foreign, err)
	}
	return id, err
}

// halfway waits until half of the time is over, or failed is closed; false when ctx ended.
func halfway(ctx context.Context, failed <-chan struct{}) bool {
	var half <-chan time.Time
	if end, bounded := ctx.Deadline(); bounded {
		t := time.NewTimer(time.Until(end) / 2)
		defer t.Stop()
		half = t.C
	}
	select {
	case <-failed:
	case <-half:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// hello says whether an object store answers at a URL, without telling it who we are. Certificates sign the server's; none means the system's.
func hello(ctx context.Context, at string, ca []byte) (bool, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if len(ca) > 0 {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return false, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return false, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, helloLimit))
	return errors.Join(err, resp.Body.Close()) == nil && own(resp, body), nil
}

// helloLimit bounds what is read of an answer. A server of S3 that gives no header of its own has its mark at the beginning.
const helloLimit = 4 << 10

// own says whether an answer is that of an object store which is there. What stands before a store answers too when the store is gone, by a status
// that says so, or without what only such a store says. One that names what is missing has no place to write to; but Azure tells strangers of what
// is private that it is not found, and then another code.
func own(resp *http.Response, body []byte) bool {
	if resp.StatusCode >= http.StatusInternalServerError {
		return false
	}
	var said struct {
		XMLName xml.Name
		Code    string
	}
	// A list may be cut off.
	_ = xml.Unmarshal(body, &said)
	code := cmp.Or(resp.Header.Get("x-ms-error-code"), said.Code)
	if slices.Contains([]string{"NoSuchBucket", "ContainerNotFound", "FilesystemNotFound"}, code) {
		return false
	}
	// Not all that begins with x-amz is a store's: CloudFront has such a header too.
	mark := cmp.Or(resp.Header.Get("x-amz-request-id"), resp.Header.Get("x-amz-id-2"), resp.Header.Get("x-ms-request-id"), resp.Header.Get("x-ms-error-code"))
	return mark != "" || said.XMLName.Local == "ListBucketResult" || said.XMLName.Local == "Error" && code != ""
}

// helloUnknown asks where the certificates are lost: then nobody can say whose the server's is, and one that shows any is somebody. It was sent
// nothing.
func helloUnknown(ctx context.Context, at string) (bool, error) {
	there, err := hello(ctx, at, nil)
	return there || Untrusted(err), err
}

// inHalf bounds what is only the first of two things that are to be done in time.
func inHalf(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, bounded := ctx.Deadline(); bounded {
		return context.WithTimeout(ctx, time.Until(end)/2)
	}
	return context.WithCancel(ctx)
}
