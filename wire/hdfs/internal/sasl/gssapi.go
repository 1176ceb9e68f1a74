package sasl

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// ErrToken is a token that is malformed, not genuine, or not the next one.
var ErrToken = errors.New("bad security token")

// Flags of a security context (RFC 4121, section 4.1.1.1).
const (
	contextMutual   = 2
	contextReplay   = 4
	contextSequence = 8
	contextConf     = 16
	contextInteg    = 32
)

// Bits with which a server offers, and a client chooses, protection (RFC 4752).
const (
	layerNone = 1
	layerInt  = 2
	layerConf = 4
)

// receiveSize is the longest token that we say to take.
const receiveSize = 1<<24 - 1

// Ticket lets its bearer prove who it is to one service.
type Ticket struct {
	Ticket messages.Ticket
	Key    types.EncryptionKey
	// Realm and Name are those of the bearer.
	Realm string
	Name  types.PrincipalName
}

// gssapi is the exchange of Kerberos tokens, after which the server offers protection and we choose.
type gssapi struct {
	ticket Ticket
	least  Quality
	// auth is what we proved ourselves with; the server proves itself by sending its time back.
	auth    types.Authenticator
	context *context
	chosen  Quality
	done    bool
}

// NewGSSAPI makes the exchange for one service. A server that offers less protection than least is refused; of what it offers the least is taken.
func NewGSSAPI(t Ticket, least Quality) Mechanism { return &gssapi{ticket: t, least: least} }

// mechanism is the object identifier of Kerberos 5, as it stands in tokens.
func mechanism() []byte {
	return []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
}

// Start gives the token with the ticket.
func (g *gssapi) Start() ([]byte, error) {
	auth, err := types.NewAuthenticator(g.ticket.Realm, g.ticket.Name)
	if err != nil {
		return nil, err
	}
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], contextMutual|contextReplay|contextSequence|contextConf|contextInteg)
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	request, err := messages.NewAPReq(g.ticket.Ticket, g.ticket.Key, auth)
	if err != nil {
		return nil, err
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	b, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	g.auth = auth
	return asn1tools.AddASNAppTag(append(append(mechanism(), 0x01, 0x00), b...), 0), nil
}

// Step takes the server's proof, then its offer of protection.
func (g *gssapi) Step(challenge []byte) ([]byte, error) {
	switch {
	case g.context == nil:
		return nil, g.proof(challenge)
	case !g.done:
		return g.choose(challenge)
	}
	if len(challenge) > 0 {
		return nil, fmt.Errorf("%w: one more after the end", ErrToken)
	}
	return nil, nil
}

// proof checks the server's answer to our ticket: only who could read the ticket knows the time we put beside it.
func (g *gssapi) proof(token []byte) error {
	body, ok := unframe(token)
	if !ok {
		return fmt.Errorf("%w: no answer of Kerberos", ErrToken)
	}
	var reply messages.APRep
	if err := reply.Unmarshal(body); err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	plain, err := crypto.DecryptEncPart(reply.EncPart, g.ticket.Key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	if part.Cusec != g.auth.Cusec || !part.CTime.Equal(g.auth.CTime.Truncate(time.Second)) {
		return fmt.Errorf("%w: the server did not prove itself", ErrToken)
	}
	key := g.ticket.Key
	acceptorKey := len(part.Subkey.KeyValue) > 0
	if acceptorKey {
		key = part.Subkey
	}
	g.context, err = newContext(key, acceptorKey, uint64(g.auth.SeqNumber), uint64(part.SequenceNumber))
	return err
}

// unframe takes the wrapping of a context token off: a tag, its length, the mechanism, and two bytes for the kind.
func unframe(token []byte) ([]byte, bool) {
	if len(token) < 2 || token[0] != 0x60 {
		return nil, false
	}
	skip := 2
	if token[1]&0x80 != 0 {
		skip += int(token[1] & 0x7f)
	}
	want := append(mechanism(), 0x02, 0x00)
	if len(token) < skip+len(want) || !bytes.Equal(token[skip:skip+len(want)], want) {
		return nil, false
	}
	return token[skip+len(want):], true
}

// choose answers the server's offer.
func (g *gssapi) choose(challenge []byte) ([]byte, error) {
	offer, err := g.context.Unwrap(challenge)
	if err != nil {
		return nil, err
	}
	if len(offer) != 4 {
		return nil, fmt.Errorf("%w: an offer of %d bytes", ErrToken, len(offer))
	}
	layer, quality, err := pick(offer[0], g.least)
	if err != nil {
		return nil, err
	}
	answer := []byte{layer, 0, 0, 0}
	if layer != layerNone {
		answer[1], answer[2], answer[3] = receiveSize>>16, receiveSize>>8&0xff, receiveSize&0xff
	}
	token, err := g.context.Wrap(answer)
	g.context.seal = layer == layerConf
	g.chosen, g.done = quality, err == nil
	return token, err
}

// pick takes the least of what is offered that is enough.
func pick(offered byte, least Quality) (byte, Quality, error) {
	layers := []struct {
		bit     byte
		quality Quality
	}{{layerNone, Authentication}, {layerInt, Integrity}, {layerConf, Privacy}}
	enough := least == ""
	for _, l := range layers {
		enough = enough || l.quality == least
		if enough && offered&l.bit != 0 {
			return l.bit, l.quality, nil
		}
	}
	return 0, "", fmt.Errorf("the server offers protection %03b and not %s", offered, least)
}

// Done says that protection was agreed.
func (g *gssapi) Done() bool { return g.done }

// Security protects what follows.
func (g *gssapi) Security() Security {
	if !g.done || g.chosen == Authentication {
		return nil
	}
	return g.context
}

const (
	headerSize   = 16
	flagAcceptor = 1
	flagSealed   = 2
	flagSubkey   = 4
)

// context protects messages with the key that both sides know (RFC 4121, section 4.2).
type context struct {
	key types.EncryptionKey
	et  etype.EType
	// subkey says that the key is the server's own.
	subkey bool
	// seal says to encrypt.
	seal           bool
	sent, received atomic.Uint64
}

func newContext(key types.EncryptionKey, subkey bool, sent, received uint64) (*context, error) {
	et, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	c := &context{key: key, et: et, subkey: subkey}
	c.sent.Store(sent)
	c.received.Store(received)
	return c, nil
}

// header gives the header of a token.
func header(flag byte, ec, rrc uint16, seq uint64) []byte {
	h := []byte{0x05, 0x04, flag, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(h[4:], ec)
	binary.BigEndian.PutUint16(h[6:], rrc)
	binary.BigEndian.PutUint64(h[8:], seq)
	return h
}

// Wrap signs or seals a message.
func (c *context) Wrap(b []byte) ([]byte, error) {
	var flag byte
	if c.subkey {
		flag |= flagSubkey
	}
	seq := c.sent.Add(1) - 1
	if c.seal {
		flag |= flagSealed
		h := header(flag, 0, 0, seq)
		_, sealed, err := c.et.EncryptMessage(c.key.KeyValue, concat(b, h), keyusage.GSSAPI_INITIATOR_SEAL)
		return append(h, sealed...), err
	}
	sum, err := c.et.GetChecksumHash(c.key.KeyValue, concat(b, header(flag, 0, 0, seq)), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, err
	}
	return append(append(header(flag, uint16(len(sum)), 0, seq), b...), sum...), nil
}

// Unwrap gives what a token of the server holds.
func (c *context) Unwrap(token []byte) ([]byte, error) {
	if len(token) < headerSize || token[0] != 0x05 || token[1] != 0x04 || token[3] != 0xff || token[2]&flagAcceptor == 0 {
		return nil, fmt.Errorf("%w: not a protected message of the server", ErrToken)
	}
	flag := token[2]
	ec, rrc := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	seq := binary.BigEndian.Uint64(token[8:])
	if want := c.received.Load(); seq != want {
		return nil, fmt.Errorf("%w: number %d where %d was due", ErrToken, seq, want)
	}
	body := unrotate(token[headerSize:], rrc)
	if c.seal && flag&flagSealed == 0 {
		return nil, fmt.Errorf("%w: not encrypted", ErrToken)
	}
	plain, err := c.open(body, flag, ec, seq)
	if err == nil {
		c.received.Add(1)
	}
	return plain, err
}

// open decrypts, or checks the signature.
func (c *context) open(body []byte, flag byte, ec int, seq uint64) ([]byte, error) {
	if flag&flagSealed != 0 {
		if len(body) < c.et.GetConfounderByteSize()+c.et.GetHMACBitLength()/8 {
			return nil, fmt.Errorf("%w: %d bytes", ErrToken, len(body))
		}
		plain, err := c.et.DecryptMessage(c.key.KeyValue, body, keyusage.GSSAPI_ACCEPTOR_SEAL)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrToken, err)
		}
		end := len(plain) - headerSize - ec
		if end < 0 || !bytes.Equal(plain[end+ec:], header(flag, uint16(ec), 0, seq)) {
			return nil, fmt.Errorf("%w: another header inside", ErrToken)
		}
		return plain[:end], nil
	}
	if ec > len(body) {
		return nil, fmt.Errorf("%w: a signature of %d bytes", ErrToken, ec)
	}
	plain, got := body[:len(body)-ec], body[len(body)-ec:]
	sum, err := c.et.GetChecksumHash(c.key.KeyValue, concat(plain, header(flag, 0, 0, seq)), keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(sum, got) {
		return nil, fmt.Errorf("%w: the signature does not fit", ErrToken)
	}
	return plain, nil
}

// unrotate moves bytes back that the sender moved from the end to the front.
func unrotate(b []byte, n int) []byte {
	if len(b) == 0 || n%len(b) == 0 {
		return b
	}
	n %= len(b)
	return concat(b[n:], b[:n])
}

// concat gives a followed by b in memory of its own.
func concat(a, b []byte) []byte { return append(append(make([]byte, 0, len(a)+len(b)), a...), b...) }
