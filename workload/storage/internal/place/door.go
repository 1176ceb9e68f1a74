package place

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"

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
	case unasked(err), strange(err):
		return false
	case errors.As(err, &login):
		return true
	}
	return errors.Is(err, hdfs.ErrUnauthenticated) || errors.Is(err, ErrRefused) || errors.Is(err, fs.ErrPermission) || errors.Is(err, s3.ErrElsewhere)
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

// secrets marks what cannot be read as such.
func secrets(read func(context.Context, string) ([]byte, error)) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, name string) ([]byte, error) {
		b, err := read(ctx, name)
		if err != nil {
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

// meet looks, and gives what the look met the meaning that it has here. Where we have nothing to log in with, or it was not the store that
// refused us, greets is asked whether somebody is there at all. That begins when half of the time is over: what keeps a secret may take all of it, and then says nothing about the store.
func meet(ctx context.Context, look func(context.Context) (Identity, error), greets func(context.Context) bool) (Identity, error) {
	greeting, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan struct{})
	there := false
	var beside sync.WaitGroup
	beside.Go(func() { there = halfway(greeting, failed) && greets(greeting) })
	id, err := look(ctx)
	unknown := unasked(err) || strange(err)
	if !unknown {
		cancel()
	}
	close(failed)
	beside.Wait()
	if TurnedAway(err) || unknown && there {
		err = fmt.Errorf("%w: %w", ErrTurnedAway, err)
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

// greets says whether an object store answers at a URL, without telling it who we are.
func greets(ctx context.Context, at string) bool {
	there, _ := hello(ctx, at, nil)
	return there
}

// hello asks as greets does, with the certificates that sign the server's; empty means the system's.
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
func helloUnknown(ctx context.Context, at string) bool {
	there, err := hello(ctx, at, nil)
	var foreign *tls.CertificateVerificationError
	return there || errors.As(err, &foreign)
}

// inHalf bounds what is only the first of two things that are to be done in time.
func inHalf(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, bounded := ctx.Deadline(); bounded {
		return context.WithTimeout(ctx, time.Until(end)/2)
	}
	return context.WithCancel(ctx)
}
