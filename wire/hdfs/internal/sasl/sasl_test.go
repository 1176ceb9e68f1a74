package sasl

import (
	"bytes"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

// The example of RFC 2831, section 4.
func TestDigestOfTheStandard(t *testing.T) {
	d := &digest{
		user: "chris", password: "secret", uri: "imap/elwood.innosoft.com", quality: Authentication,
		realm: "elwood.innosoft.com", nonce: "OA6MG9tEQGm2hh", cnonce: "OA6MHXh6VqTrRk",
	}
	if got := d.response("AUTHENTICATE"); got != "d388dad90d4bbd760a152321f2143af7" {
		t.Errorf("our proof is %s", got)
	}
	if got := d.response(""); got != "ea40f60335c427b5527b84dbabcdfffd" {
		t.Errorf("the server's proof is %s", got)
	}
}

// shaken runs the exchange of a client with a server that knows the password.
func shaken(t *testing.T, quality Quality) (*digest, *digestSecurity) {
	t.Helper()
	m := NewDigest(`us"er`, "pass", "hdfs/0", quality).(*digest)
	if b, err := m.Start(); err != nil || b != nil {
		t.Fatal("the client begins", err)
	}
	answer, err := m.Step([]byte(`realm="0",nonce="n\"1",charset=utf-8,algorithm=md5-sess,qop="auth,auth-int,auth-conf",cipher="3des,rc4"`))
	if err != nil {
		t.Fatal(err)
	}
	fields, err := directives(string(answer))
	if err != nil || fields["username"] != `us"er` || fields["nonce"] != `n"1` || fields["qop"] != string(quality) || fields["response"] != m.response("AUTHENTICATE") {
		t.Fatalf("answer %q, %v", answer, err)
	}
	if _, err := m.Step([]byte("rspauth=" + m.response(""))); err != nil || !m.Done() {
		t.Fatal(err)
	}
	if quality == Authentication {
		return m, nil
	}
	// The other side has the keys the other way round.
	s := &digestSecurity{sign: m.security.check, check: m.security.sign}
	if quality == Privacy {
		s.encrypt, _ = rc4.NewCipher(m.derive("Digest H(A1) to server-to-client sealing key magic constant"))
		s.decrypt, _ = rc4.NewCipher(m.derive("Digest H(A1) to client-to-server sealing key magic constant"))
	}
	return m, s
}

func TestDigestProtects(t *testing.T) {
	for _, quality := range []Quality{Integrity, Privacy} {
		m, server := shaken(t, quality)
		for _, text := range []string{"one", "", strings.Repeat("x", 70000)} {
			token, _ := m.Security().Wrap([]byte(text))
			if quality == Privacy && len(text) > 0 && bytes.Contains(token, []byte(text)) {
				t.Error("it is sent as it is")
			}
			if got, err := server.Unwrap(token); err != nil || string(got) != text {
				t.Errorf("%s: the server reads %d bytes, %v", quality, len(got), err)
			}
			token, _ = server.Wrap([]byte(text))
			if got, err := m.Security().Unwrap(token); err != nil || string(got) != text {
				t.Errorf("%s: we read %d bytes, %v", quality, len(got), err)
			}
		}
	}
	if m, _ := shaken(t, Authentication); m.Security() != nil {
		t.Error("authentication alone protects")
	}
}

func TestDigestRefuses(t *testing.T) {
	m, server := shaken(t, Integrity)
	first, _ := server.Wrap([]byte("first"))
	second, _ := server.Wrap([]byte("second"))
	if _, err := m.Security().Unwrap(bytes.Clone(second)); !errors.Is(err, ErrToken) {
		t.Errorf("a message too early: %v", err)
	}
	bad := bytes.Clone(first)
	bad[0] ^= 1
	if _, err := m.Security().Unwrap(bad); !errors.Is(err, ErrToken) {
		t.Errorf("a changed message: %v", err)
	}
	if _, err := m.Security().Unwrap(first[:5]); !errors.Is(err, ErrToken) {
		t.Errorf("a short message: %v", err)
	}
	for name, challenge := range map[string]string{
		"no quality": `realm="0",nonce="n",qop="auth"`, "no cipher": `realm="0",nonce="n",qop="auth-conf",cipher="des"`, "no quote": `realm="0`, "no value": `realm`,
	} {
		if _, err := NewDigest("u", "p", "hdfs/0", Privacy).Step([]byte(challenge)); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := NewDigest("u", "p", "hdfs/0", Authentication)
	if _, err := d.Step([]byte(`realm="0",nonce="n"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Step([]byte("rspauth=00000000000000000000000000000000")); !errors.Is(err, ErrDigest) || d.(*digest).security != nil {
		t.Errorf("a server without the password: %v", err)
	}
}

// contexts gives both ends of a context with a key of AES.
func contexts(t *testing.T, seal bool) (*context, *context) {
	t.Helper()
	key := types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: bytes.Repeat([]byte{7}, 32)}
	ours, err := newContext(key, false, 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := newContext(key, false, 9, 5)
	ours.seal, theirs.seal = seal, seal
	return ours, theirs
}

// accept makes a token as a server does, with its end moved to the front.
func accept(c *context, b []byte, rotate int) []byte {
	seq := c.sent.Add(1) - 1
	var h, body []byte
	if c.seal {
		flag := byte(flagAcceptor | flagSealed)
		h = header(flag, 0, uint16(rotate), seq)
		_, body, _ = c.et.EncryptMessage(c.key.KeyValue, concat(b, header(flag, 0, 0, seq)), keyusage.GSSAPI_ACCEPTOR_SEAL)
	} else {
		sum, _ := c.et.GetChecksumHash(c.key.KeyValue, concat(b, header(flagAcceptor, 0, 0, seq)), keyusage.GSSAPI_ACCEPTOR_SEAL)
		h = header(flagAcceptor, uint16(len(sum)), uint16(rotate), seq)
		body = concat(b, sum)
	}
	n := rotate % len(body)
	return concat(h, concat(body[len(body)-n:], body[:len(body)-n]))
}

func TestContextsProtect(t *testing.T) {
	for _, seal := range []bool{false, true} {
		ours, theirs := contexts(t, seal)
		for i, text := range []string{"one", "", strings.Repeat("x", 70000)} {
			got, err := ours.Unwrap(accept(theirs, []byte(text), i*13))
			if err != nil || string(got) != text {
				t.Errorf("sealed %v: we read %d bytes, %v", seal, len(got), err)
			}
			token, err := ours.Wrap([]byte(text))
			if err != nil || binary.BigEndian.Uint64(token[8:]) != uint64(5+i) {
				t.Errorf("our token %d: %v", i, err)
			}
			if sealed := token[2]&flagSealed != 0; sealed != seal || seal && len(text) > 0 && bytes.Contains(token, []byte(text)) {
				t.Errorf("our token is sealed: %v", sealed)
			}
		}
		good := accept(theirs, []byte("good"), 0)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 4
			// The number of moved bytes alone may be any that leads to the same.
			if got, err := ours.Unwrap(bad); err == nil && (i < 6 || i > 7) {
				t.Errorf("sealed %v: byte %d may differ: %q", seal, i, got)
			}
		}
	}
	ours, theirs := contexts(t, true)
	theirs.seal = false
	if _, err := ours.Unwrap(accept(theirs, []byte("open"), 0)); !errors.Is(err, ErrToken) {
		t.Errorf("an open message where sealed ones were agreed: %v", err)
	}
}

func TestPick(t *testing.T) {
	for _, c := range []struct {
		offered byte
		least   Quality
		want    Quality
	}{
		{7, "", Authentication}, {7, Integrity, Integrity}, {7, Privacy, Privacy}, {4, Authentication, Privacy}, {4, "", Privacy},
		{1, Integrity, ""}, {3, Privacy, ""}, {0, "", ""},
	} {
		_, got, err := pick(c.offered, c.least)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%03b for %q: %q, %v", c.offered, c.least, got, err)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	f.Add([]byte{5, 4, 1, 0xff, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3})
	f.Add([]byte{5, 4, 3, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		key := types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: bytes.Repeat([]byte{7}, 32)}
		c, _ := newContext(key, false, 5, 9)
		if _, err := c.Unwrap(b); err == nil {
			t.Error("a token that nobody made is taken")
		}
		unframe(b)
	})
}

func FuzzDirectives(f *testing.F) {
	f.Add(`realm="0",nonce="n\"1",qop="auth,auth-int"`)
	f.Add(`a="`)
	f.Fuzz(func(t *testing.T, s string) { _, _ = directives(s) })
}
