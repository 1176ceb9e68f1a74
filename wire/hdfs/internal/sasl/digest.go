package sasl

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrDigest is a server that does not know our password, or asks for what we do not have.
var ErrDigest = errors.New("DIGEST-MD5 authentication failed")

const (
	macSize  = 10
	tailSize = 6
	// noBody stands for the body of a message, which is not part of the digest when messages are protected.
	noBody = ":00000000000000000000000000000000"
)

// digest is the exchange of RFC 2831 for a user with a password, which a block token is.
type digest struct {
	user, password, uri string
	quality             Quality
	step                int
	// nonce, cnonce and realm are what this exchange is about.
	nonce, cnonce, realm string
	cipher               string
	security             *digestSecurity
}

// NewDigest makes the exchange. uri is the service, such as hdfs/0; quality is what to insist on.
func NewDigest(user, password, uri string, quality Quality) Mechanism {
	return &digest{user: user, password: password, uri: uri, quality: quality}
}

// Start gives nothing: the server begins.
func (d *digest) Start() ([]byte, error) { return nil, nil }

// Step answers the server's challenge, then checks that the server knows the password too.
func (d *digest) Step(challenge []byte) ([]byte, error) {
	fields, err := directives(string(challenge))
	if err != nil {
		return nil, err
	}
	d.step++
	switch d.step {
	case 1:
		return d.respond(fields)
	case 2:
		if !hmac.Equal([]byte(fields["rspauth"]), []byte(d.response(""))) {
			return nil, fmt.Errorf("%w: the server did not prove itself", ErrDigest)
		}
		return nil, d.agree()
	}
	return nil, fmt.Errorf("%w: one message too many", ErrDigest)
}

// respond answers the first challenge.
func (d *digest) respond(fields map[string]string) ([]byte, error) {
	if !slices.Contains(qualities(fields), d.quality) {
		return nil, fmt.Errorf("%w: the server offers protection %s and not %s", ErrDigest, fields["qop"], d.quality)
	}
	if d.quality == Privacy {
		if !slices.Contains(strings.Split(fields["cipher"], ","), "rc4") {
			return nil, fmt.Errorf("%w: the server offers the ciphers %s and not rc4", ErrDigest, fields["cipher"])
		}
		d.cipher = "rc4"
	}
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	d.nonce, d.realm, d.cnonce = fields["nonce"], fields["realm"], base64.StdEncoding.EncodeToString(random)
	var b strings.Builder
	fmt.Fprintf(&b, `charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="%s",digest-uri="%s",maxbuf=65536,response=%s,qop=%s`,
		quote(d.user), quote(d.realm), quote(d.nonce), d.cnonce, d.uri, d.response("AUTHENTICATE"), d.quality)
	if d.cipher != "" {
		fmt.Fprintf(&b, `,cipher="%s"`, d.cipher)
	}
	return []byte(b.String()), nil
}

// Offered gives the qualities that the first challenge of a server offers.
func Offered(challenge []byte) ([]Quality, error) {
	fields, err := directives(string(challenge))
	if err != nil {
		return nil, err
	}
	return qualities(fields), nil
}

func qualities(fields map[string]string) []Quality {
	if fields["qop"] == "" {
		return []Quality{Authentication}
	}
	var out []Quality
	for _, q := range strings.Split(fields["qop"], ",") {
		out = append(out, Quality(strings.TrimSpace(q)))
	}
	return out
}

// quote makes a string fit between quotes.
func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// secret is H(A1), which all keys are made from.
func (d *digest) secret() []byte {
	inner := md5.Sum([]byte(d.user + ":" + d.realm + ":" + d.password))
	outer := md5.Sum(append(inner[:], ":"+d.nonce+":"+d.cnonce...))
	return outer[:]
}

// response is the proof that we, or with an empty verb the server, know the password.
func (d *digest) response(verb string) string {
	a2 := verb + ":" + d.uri
	if d.quality != Authentication {
		a2 += noBody
	}
	ha2 := md5.Sum([]byte(a2))
	text := strings.Join([]string{hex.EncodeToString(d.secret()), d.nonce, "00000001", d.cnonce, string(d.quality), hex.EncodeToString(ha2[:])}, ":")
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// agree makes the keys for what follows.
func (d *digest) agree() error {
	if d.quality == Authentication {
		return nil
	}
	s := &digestSecurity{
		sign:  d.derive("Digest session key to client-to-server signing key magic constant"),
		check: d.derive("Digest session key to server-to-client signing key magic constant"),
	}
	d.security = s
	if d.quality != Privacy {
		return nil
	}
	var err error
	if s.encrypt, err = rc4.NewCipher(d.derive("Digest H(A1) to client-to-server sealing key magic constant")); err != nil {
		return err
	}
	s.decrypt, err = rc4.NewCipher(d.derive("Digest H(A1) to server-to-client sealing key magic constant"))
	return err
}

// derive gives one key.
func (d *digest) derive(purpose string) []byte {
	sum := md5.Sum(append(d.secret(), purpose...))
	return sum[:]
}

// Done says that both sides have proved themselves.
func (d *digest) Done() bool { return d.step >= 2 }

// Security protects what follows.
func (d *digest) Security() Security {
	if d.security == nil {
		return nil
	}
	return d.security
}

// digestSecurity protects messages by the keys of one exchange.
type digestSecurity struct {
	sign, check      []byte
	encrypt, decrypt *rc4.Cipher
	out, in          sync.Mutex
	sent, received   uint32
}

// mac is the signature of a numbered message.
func mac(key []byte, seq uint32, b []byte) []byte {
	h := hmac.New(md5.New, key)
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], seq)
	h.Write(number[:])
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// Wrap signs a message, and encrypts it together with its signature.
func (s *digestSecurity) Wrap(b []byte) ([]byte, error) {
	s.out.Lock()
	defer s.out.Unlock()
	token := append(append(make([]byte, 0, len(b)+macSize+tailSize), b...), mac(s.sign, s.sent, b)...)
	if s.encrypt != nil {
		s.encrypt.XORKeyStream(token, token)
	}
	token = append(token, 0, 1)
	token = binary.BigEndian.AppendUint32(token, s.sent)
	s.sent++
	return token, nil
}

// Unwrap gives what a token of the server holds.
func (s *digestSecurity) Unwrap(token []byte) ([]byte, error) {
	s.in.Lock()
	defer s.in.Unlock()
	end := len(token) - tailSize
	if end < macSize || token[end] != 0 || token[end+1] != 1 {
		return nil, fmt.Errorf("%w: not a protected message", ErrToken)
	}
	if seq := binary.BigEndian.Uint32(token[end+2:]); seq != s.received {
		return nil, fmt.Errorf("%w: number %d where %d was due", ErrToken, seq, s.received)
	}
	body := token[:end]
	if s.decrypt != nil {
		s.decrypt.XORKeyStream(body, body)
	}
	plain, got := body[:end-macSize], body[end-macSize:]
	if !hmac.Equal(mac(s.check, s.received, plain), got) {
		return nil, fmt.Errorf("%w: the signature does not fit", ErrToken)
	}
	s.received++
	return plain, nil
}

// directives reads name=value pairs, some in quotes.
func directives(text string) (map[string]string, error) {
	fields := map[string]string{}
	for text = strings.TrimLeft(text, ", \t"); text != ""; text = strings.TrimLeft(text, ", \t") {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%w: a challenge that cannot be read", ErrDigest)
		}
		var value string
		if value, text, ok = directive(rest); !ok {
			return nil, fmt.Errorf("%w: a quote without end", ErrDigest)
		}
		fields[strings.TrimSpace(name)] = value
	}
	return fields, nil
}

// directive reads one value and gives what follows it.
func directive(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return strings.TrimSpace(value), rest, true
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
