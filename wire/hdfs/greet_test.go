package hdfs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// doorkeeper plays a NameNode that asks who calls, offers one way to say so, and hears no more.
func doorkeeper(t *testing.T, method, mechanism string) string {
	t.Helper()
	return dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		if _, err := io.ReadFull(in, make([]byte, 7)); err != nil {
			return
		}
		if _, ok := readCall(in, true); !ok {
			return
		}
		offer := proto.Message(nil).Uint(2, 1).Bytes(4, proto.Message(nil).String(1, method).String(2, mechanism).String(3, "hdfs").String(4, "nn"))
		const callSasl = -33
		_, _ = nc.Write(answered{body: offer}.encode(callSasl))
		_, _ = io.Copy(io.Discard, in)
	}).Address()
}

// silentNode takes connections and says nothing.
func silentNode(t *testing.T) string {
	t.Helper()
	return dataNode(t, func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) }).Address()
}

// TestWhoGreetsIsThere asks NameNodes of all sorts whether they are there, without a login.
func TestWhoGreetsIsThere(t *testing.T) {
	const gone = "127.0.0.1:1"
	wary, simple, silent := doorkeeper(t, "KERBEROS", "GSSAPI"), doorkeeper(t, "SIMPLE", ""), silentNode(t)
	for name, c := range map[string]struct {
		at   []string
		want bool
	}{
		"one that wants Kerberos":  {[]string{wary}, true},
		"one that wants no login":  {[]string{simple}, true},
		"one beside a silent one":  {[]string{silent, wary}, true},
		"one beside one that died": {[]string{gone, simple}, true},
		"a silent one":             {[]string{silent}, false},
		"none":                     {[]string{gone}, false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if !c.want {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		}
		if got := Greets(ctx, Options{NameNodes: c.at}); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		cancel()
	}
}

// TestAFailedLoginSaysWhetherANameNodeAskedForIt has nobody who gives tickets.
func TestAFailedLoginSaysWhetherANameNodeAskedForIt(t *testing.T) {
	dir := t.TempDir()
	conf, keys := filepath.Join(dir, "krb5.conf"), filepath.Join(dir, "keys")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(conf, []byte("[libdefaults]\ndefault_realm = LAB\nudp_preference_limit = 1\n[realms]\nLAB = {\n kdc = 127.0.0.1:1\n}\n"), 0o600))
	tab := keytab.New()
	must(tab.AddEntry("us", "LAB", "secret", time.Now(), 1, etypeID.AES256_CTS_HMAC_SHA1_96))
	b, err := tab.Marshal()
	must(err)
	must(os.WriteFile(keys, b, 0o600))
	wary := doorkeeper(t, "KERBEROS", "GSSAPI")
	for name, c := range map[string]struct {
		at, conf, server string
		reason           LoginReason
		want             error
	}{
		"no KDC answers":                {wary, conf, wary, ReasonKDC, ErrUnavailable},
		"nobody was asked":              {wary, filepath.Join(dir, "none"), "", ReasonConfig, ErrUnauthenticated},
		"neither KDC nor NameNode live": {"127.0.0.1:1", conf, "none", "", ErrUnavailable},
	} {
		_, err := Dial(t.Context(), Options{NameNodes: []string{c.at}, RetryFor: -1, Kerberos: &Kerberos{Principal: "us@LAB", Keytab: keys, Config: c.conf}})
		var login *LoginError
		failed := errors.As(err, &login)
		if !errors.Is(err, c.want) || failed != (c.server != "none") || failed && (login.Server != c.server || login.Reason != c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDataNodesSayWhatTheyTake begins a handshake with DataNodes of all sorts.
func TestDataNodesSayWhatTheyTake(t *testing.T) {
	answers := func(message []byte) func(nc net.Conn, in *bufio.Reader) {
		return func(nc net.Conn, in *bufio.Reader) {
			if _, err := io.ReadFull(in, make([]byte, 4)); err != nil {
				return
			}
			_, _ = nc.Write(message)
			_, _ = io.Copy(io.Discard, in)
		}
	}
	challenge := func(qop string) func(nc net.Conn, in *bufio.Reader) {
		return answers(saslMessage(nil, []byte(`realm="0",nonce="n",`+qop+`charset=utf-8,algorithm=md5-sess`), false))
	}
	for name, c := range map[string]struct {
		play func(nc net.Conn, in *bufio.Reader)
		want []Protection
		err  error
	}{
		"one":                    {challenge(`qop="auth-conf",cipher="rc4",`), []Protection{Privacy}, nil},
		"several":                {challenge(`qop="auth-conf,auth",`), []Protection{Authentication, Privacy}, nil},
		"what stands for one":    {challenge(""), []Protection{Authentication}, nil},
		"one that hangs up":      {func(_ net.Conn, in *bufio.Reader) { _, _ = io.ReadFull(in, make([]byte, 2)) }, nil, nil},
		"one that says nothing":  {func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) }, nil, context.DeadlineExceeded},
		"one that is broken":     {answers([]byte{1, 0xff}), nil, errAny},
		"one that says no":       {answers(proto.Message(nil).Uint(1, 2).String(3, "no").Delimited(nil)), nil, ErrUnauthenticated},
		"one that hung up in it": {func(nc net.Conn, _ *bufio.Reader) { _, _ = nc.Write([]byte{9}) }, nil, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if errors.Is(c.err, context.DeadlineExceeded) {
				limit = 100 * time.Millisecond
			}
			got, err := alone(t, limit).DataProtections(t.Context(), dataNode(t, c.play))
			if !slices.Equal(got, c.want) || (err != nil) != (c.err != nil) || c.err != nil && c.err != errAny && !errors.Is(err, c.err) {
				t.Errorf("it takes %q, %v", got, err)
			}
		})
	}
	if got, err := alone(t, time.Minute).DataProtections(t.Context(), &DataNode{IP: "127.0.0.1", Port: 1}); got != nil || err == nil {
		t.Errorf("one that is gone takes %q, %v", got, err)
	}
}

// errAny stands for any error.
var errAny = errors.New("any")
