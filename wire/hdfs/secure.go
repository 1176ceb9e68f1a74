package hdfs

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

// login is who we are, proved by Kerberos.
type login struct {
	cfg    Kerberos
	client *client.Client
	// running counts the exchanges with the KDC that were given up and still run.
	running func(func())
}

// newLogin reads the keytab; the KDC is asked when the first connection is made.
func newLogin(k Kerberos, running func(func())) (*login, error) {
	path := k.Config
	if path == "" {
		path = "/etc/krb5.conf"
	}
	cfg, err := config.Load(path)
	var unsupported config.UnsupportedDirective
	if err != nil && !errors.As(err, &unsupported) {
		return nil, &LoginError{Principal: k.Principal, Reason: ReasonConfig, Err: err}
	}
	keys, err := keytab.Load(k.Keytab)
	if err != nil {
		return nil, &LoginError{Principal: k.Principal, Reason: ReasonKeytab, Err: err}
	}
	name, realm, ok := strings.Cut(k.Principal, "@")
	if !ok {
		realm = cfg.LibDefaults.DefaultRealm
	}
	// What PA-FX-FAST adds is of no use with a keytab, and Active Directory refuses it.
	return &login{cfg: k, client: client.NewWithKeytab(name, realm, keys, cfg, client.DisablePAFXFAST(true)), running: running}, nil
}

// close ends the renewal of tickets.
func (l *login) close() { l.client.Destroy() }

// nameNode begins the exchange with a NameNode, which has asked for it, and whose principal follows from its address and not from what it says.
func (l *login) nameNode(ctx context.Context, address string) (sasl.Mechanism, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	service := l.cfg.ServicePrincipal
	if service == "" {
		service = "hdfs/_HOST"
	}
	service, _, _ = strings.Cut(strings.ReplaceAll(service, "_HOST", strings.ToLower(host)), "@")
	t, err := l.ticket(ctx, service)
	if err != nil {
		failed := &LoginError{Principal: l.cfg.Principal, Service: service, Server: address, Reason: loginReason(err.Error()), Err: err}
		if ctx.Err() != nil {
			failed.Reason = ReasonKDC
		}
		return nil, failed
	}
	return sasl.NewGSSAPI(t, quality(l.cfg.RPCProtection)), nil
}

// turnedAway is a NameNode's word on the ticket that it was shown.
func (l *login) turnedAway(address string, err error) error {
	failed := &LoginError{Principal: l.cfg.Principal, Service: l.cfg.ServicePrincipal, Server: address, Reason: ReasonServer, Err: err}
	if loginReason(err.Error()) == ReasonClock {
		failed.Reason = ReasonClock
	}
	return failed
}

// ticket asks the KDC, or takes a ticket that is good still. The library knows no contexts: when ctx ends its exchange is left to end by itself.
func (l *login) ticket(ctx context.Context, service string) (sasl.Ticket, error) {
	type answer struct {
		ticket sasl.Ticket
		err    error
	}
	came := make(chan answer, 1)
	l.running(func() {
		if err := l.client.AffirmLogin(); err != nil {
			came <- answer{err: err}
			return
		}
		t, key, err := l.client.GetServiceTicket(service)
		came <- answer{sasl.Ticket{Ticket: t, Key: key, Realm: l.client.Credentials.Domain(), Name: l.client.Credentials.CName()}, err}
	})
	select {
	case a := <-came:
		return a.ticket, a.err
	case <-ctx.Done():
		return sasl.Ticket{}, context.Cause(ctx)
	}
}

// quality gives a protection in the words of SASL.
func quality(p Protection) sasl.Quality {
	return map[Protection]sasl.Quality{Authentication: sasl.Authentication, Integrity: sasl.Integrity, Privacy: sasl.Privacy}[p]
}

// Facts of the handshake with DataNodes (SaslDataTransferClient, DataTransferSaslUtil).
const (
	saslMagic      = 0xDEADBEEF
	saslService    = "hdfs/0"
	saslUnknownKey = 1
	suiteAES       = 2
	maxToken       = 32 << 20
)

// errUnknownKey is a DataNode that no longer, or not yet, knows the key that we encrypt with.
var errUnknownKey = errors.New("the DataNode does not know the encryption key")

// encryptionKey encrypts what flows to and from DataNodes (dfs.encrypt.data.transfer).
type encryptionKey struct {
	id         uint64
	pool       string
	nonce, key []byte
	expires    time.Time
}

// readKey reads DataEncryptionKeyProto.
func readKey(d *proto.Decoder) encryptionKey {
	var k encryptionKey
	for d.Next() {
		switch d.Number() {
		case 1:
			k.id = d.Uint()
		case 2:
			k.pool = d.String()
		case 3:
			k.nonce = d.Bytes()
		case 4:
			k.key = d.Bytes()
		case 5:
			k.expires = millis(d.Int())
		}
	}
	return k
}

// encryption gives the key of the cluster, asking for one when the last is about to expire or, with fresh, was refused.
func (n *dataNodes) encryption(ctx context.Context, fresh bool) (*encryptionKey, error) {
	n.mu.Lock()
	k := n.key
	n.mu.Unlock()
	if k != nil && !fresh && time.Until(k.expires) > time.Minute {
		return k, nil
	}
	k, err := ask(ctx, n.client, "getDataEncryptionKey", "", nil, field(readKey))
	if err == nil && k == nil {
		err = fmt.Errorf("%w: no encryption key", ErrProtocol)
	}
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.key = k
	return k, nil
}

// mechanism gives how to prove ourselves to DataNodes; nil when they ask for nothing.
func (n *dataNodes) mechanism(ctx context.Context, t token, fresh bool) (sasl.Mechanism, sasl.Quality, error) {
	encode := base64.StdEncoding.EncodeToString
	if n.client.defaults.EncryptData {
		k, err := n.encryption(ctx, fresh)
		if err != nil {
			return nil, "", err
		}
		user := fmt.Sprintf("%d %s %s", k.id, k.pool, encode(k.nonce))
		return sasl.NewDigest(user, encode(k.key), saslService, sasl.Privacy), sasl.Privacy, nil
	}
	if n.client.login == nil || n.client.login.cfg.DataProtection == "" {
		return nil, "", nil
	}
	q := quality(n.client.login.cfg.DataProtection)
	return sasl.NewDigest(encode(t.identifier), encode(t.password), saslService, q), q, nil
}

// protect agrees with a DataNode on protection, and gives the streams to speak through.
func (n *dataNodes) protect(ctx context.Context, nc net.Conn, t token, fresh bool) (io.Reader, io.Writer, error) {
	m, q, err := n.mechanism(ctx, t, fresh)
	if err != nil || m == nil {
		return nc, nc, err
	}
	in := bufio.NewReaderSize(nc, readBuffer)
	if _, err := nc.Write(saslMessage(binary.BigEndian.AppendUint32(nil, saslMagic), nil, false)); err != nil {
		return nil, nil, err
	}
	challenge, err := readSaslMessage(in)
	if err != nil {
		return nil, nil, err
	}
	answer, err := m.Step(challenge.payload)
	if err != nil {
		return nil, nil, err
	}
	if _, err := nc.Write(saslMessage(nil, answer, q == sasl.Privacy)); err != nil {
		return nil, nil, err
	}
	last, err := readSaslMessage(in)
	if err != nil {
		return nil, nil, err
	}
	if _, err := m.Step(last.payload); err != nil {
		return nil, nil, err
	}
	security := m.Security()
	if security == nil {
		return in, nc, nil
	}
	if last.suite == suiteAES {
		return last.aes(in, nc, security)
	}
	return &wrappedReader{in: in, security: security}, &wrappedWriter{out: nc, security: security}, nil
}

// DataProtections asks a DataNode which protections it takes (dfs.data.transfer.protection), and hangs up: that is said before anything is asked of who
// calls. None means that it hung up itself without a word, as one does that knows of no protection and takes the handshake for a request it cannot read.
func (c *Client) DataProtections(ctx context.Context, d *DataNode) ([]Protection, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	address := c.data.address(d)
	nc, err := c.opts.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, wrap("greet", "", address, err)
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if _, err := nc.Write(saslMessage(binary.BigEndian.AppendUint32(nil, saslMagic), nil, false)); err != nil {
		return nil, wrap("greet", "", address, err)
	}
	in := bufio.NewReaderSize(nc, readBuffer)
	if _, err := in.Peek(1); err != nil {
		return nil, wrap("greet", "", address, context.Cause(ctx))
	}
	challenge, err := readSaslMessage(in)
	if err != nil {
		return nil, wrap("greet", "", address, err)
	}
	offered, err := sasl.Offered(challenge.payload)
	if err != nil {
		return nil, wrap("greet", "", address, err)
	}
	var out []Protection
	for _, p := range []Protection{Authentication, Integrity, Privacy} {
		if slices.Contains(offered, quality(p)) {
			out = append(out, p)
		}
	}
	return out, nil
}

// saslMessage appends DataTransferEncryptorMessageProto to b; with ciphers it says that we would rather have AES than what DIGEST-MD5 has.
func saslMessage(b, payload []byte, ciphers bool) []byte {
	m := proto.Message(nil).Uint(1, statusSuccess)
	if payload != nil {
		m = m.Bytes(2, payload)
	}
	if ciphers {
		m = m.Bytes(4, proto.Message(nil).Uint(1, suiteAES))
	}
	return m.Delimited(b)
}

// saslReply is what a DataNode answers in the handshake.
type saslReply struct {
	status  uint64
	payload []byte
	message string
	suite   uint64
	// inKey and inIV are for what goes into the DataNode, the others for what comes out.
	inKey, inIV, outKey, outIV []byte
}

// readSaslMessage reads one message of the handshake.
func readSaslMessage(in *bufio.Reader) (saslReply, error) {
	b, err := delimited(in)
	if err != nil {
		return saslReply{}, err
	}
	r, err := proto.Parse(b, readSaslReply)
	if err == nil && r.status == saslUnknownKey {
		err = fmt.Errorf("%w: %s", errUnknownKey, r.message)
	}
	if err == nil && r.status != statusSuccess {
		err = fmt.Errorf("%w by the DataNode: %s", ErrUnauthenticated, r.message)
	}
	return r, err
}

func readSaslReply(d *proto.Decoder) saslReply {
	var r saslReply
	for d.Next() {
		switch d.Number() {
		case 1:
			r.status = d.Uint()
		case 2:
			r.payload = d.Bytes()
		case 3:
			r.message = d.String()
		case 4:
			proto.Sub(d, r.readCipher)
		}
	}
	return r
}

// readCipher reads CipherOptionProto.
func (r *saslReply) readCipher(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			r.suite = d.Uint()
		case 2:
			r.inKey = d.Bytes()
		case 3:
			r.inIV = d.Bytes()
		case 4:
			r.outKey = d.Bytes()
		case 5:
			r.outIV = d.Bytes()
		}
	}
	return struct{}{}
}

// aes gives streams that encrypt by AES in counter mode; its keys come protected by what was agreed.
func (r *saslReply) aes(in io.Reader, out io.Writer, s sasl.Security) (io.Reader, io.Writer, error) {
	inKey, err := s.Unwrap(r.inKey)
	if err != nil {
		return nil, nil, err
	}
	outKey, err := s.Unwrap(r.outKey)
	if err != nil {
		return nil, nil, err
	}
	sending, err := counterMode(inKey, r.inIV)
	if err != nil {
		return nil, nil, err
	}
	receiving, err := counterMode(outKey, r.outIV)
	if err != nil {
		return nil, nil, err
	}
	return cipher.StreamReader{S: receiving, R: in}, &cipherWriter{out: out, stream: sending}, nil
}

// counterMode makes a stream of AES in counter mode.
func counterMode(key, iv []byte) (cipher.Stream, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() {
		return nil, fmt.Errorf("%w: an initial vector of %d bytes", ErrProtocol, len(iv))
	}
	return cipher.NewCTR(block, iv), nil
}

// cipherWriter encrypts into memory of its own: what is written may have to be sent again to somebody else.
type cipherWriter struct {
	out    io.Writer
	stream cipher.Stream
	buf    []byte
}

// Write encrypts and sends.
func (w *cipherWriter) Write(b []byte) (int, error) {
	if cap(w.buf) < len(b) {
		w.buf = make([]byte, len(b))
	}
	w.buf = w.buf[:len(b)]
	w.stream.XORKeyStream(w.buf, b)
	return w.out.Write(w.buf)
}

// maxWrapped is the longest piece that is protected as one: a little more than a packet of Hadoop's own client.
const maxWrapped = 96 << 10

// wrappedWriter sends each piece as protected messages with their lengths before them.
type wrappedWriter struct {
	out      io.Writer
	security sasl.Security
}

// Write protects and sends.
func (w *wrappedWriter) Write(b []byte) (int, error) {
	for piece := range slices.Chunk(b, maxWrapped) {
		token, err := w.security.Wrap(piece)
		if err != nil {
			return 0, err
		}
		if _, err := w.out.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(token)), uint32(len(token))), token...)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// wrappedReader reads protected messages as one stream.
type wrappedReader struct {
	in       io.Reader
	security sasl.Security
	rest     []byte
}

// Read gives what is left of a message, or of the next one.
func (r *wrappedReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		var size [4]byte
		if _, err := io.ReadFull(r.in, size[:]); err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > maxToken {
			return 0, fmt.Errorf("%w: a protected message of %d bytes", ErrProtocol, n)
		}
		token := make([]byte, n)
		if _, err := io.ReadFull(r.in, token); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		plain, err := r.security.Unwrap(token)
		if err != nil {
			return 0, err
		}
		r.rest = plain
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
