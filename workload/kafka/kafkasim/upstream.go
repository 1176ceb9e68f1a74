package kafkasim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pipes is the listener that kfake listens on: connections come from this process only, under the address
// that the cluster shows to its clients.
type pipes struct {
	addr net.Addr
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipes(addr net.Addr) *pipes {
	return &pipes{addr: addr, conn: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and dial.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is the cluster's address.
func (p *pipes) Addr() net.Addr { return p.addr }

// addressed lets kfake see the client's address, which ACLs with hosts ask for.
type addressed struct {
	net.Conn
	from net.Addr
}

// RemoteAddr is the client's address.
func (a addressed) RemoteAddr() net.Addr { return a.from }

func (p *pipes) dial(from net.Addr) (*upstream, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conn <- addressed{theirs, from}:
		return &upstream{conn: ours}, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// upstream is one connection to kfake. It carries one request at a time and is not for concurrent use.
type upstream struct {
	conn net.Conn
	corr int32
}

func (u *upstream) close() { u.conn.Close() }

// relay sends a whole request frame and gives the whole response frame, both with their length; nil when
// none is expected.
func (u *upstream) relay(frame []byte) ([]byte, error) {
	if _, err := u.conn.Write(frame); err != nil {
		return nil, err
	}
	return readFrame(u.conn)
}

// ask sends a request of our own in the version that it carries and decodes the answer.
func (u *upstream) ask(req kmsg.Request, clientID string) (kmsg.Response, error) {
	u.corr++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, req, u.corr)
	answer, err := u.relay(frame)
	if err != nil {
		return nil, err
	}
	return decode(req, answer)
}

// login authenticates the connection with SASL/PLAIN.
func (u *upstream) login(user, password string) error {
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version, shake.Mechanism = 1, "PLAIN"
	answer, err := u.ask(shake, "kafkasim")
	if err != nil {
		return err
	}
	if code := answer.(*kmsg.SASLHandshakeResponse).ErrorCode; code != 0 {
		return fmt.Errorf("SASL handshake of %s: code %d", user, code)
	}
	auth := kmsg.NewPtrSASLAuthenticateRequest()
	auth.Version, auth.SASLAuthBytes = 1, []byte("\x00"+user+"\x00"+password)
	answer, err = u.ask(auth, "kafkasim")
	if err != nil {
		return err
	}
	if code := answer.(*kmsg.SASLAuthenticateResponse).ErrorCode; code != 0 {
		return fmt.Errorf("SASL login of %s: code %d", user, code)
	}
	return nil
}

// maxFrame bounds what one request or response may take.
const maxFrame = 256 << 20

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

// inbound is a request as it came from a client.
type inbound struct {
	frame    []byte
	corr     int32
	clientID string
	req      kmsg.Request
}

// errUnknownRequest means that the client sent what the Kafka client library does not know.
var errUnknownRequest = errors.New("unknown request")

func parse(frame []byte) (inbound, error) {
	r := kbin.Reader{Src: frame[4:]}
	key, version, corr, clientID := r.Int16(), r.Int16(), r.Int32(), r.NullableString()
	req := kmsg.RequestForKey(key)
	if r.Complete() != nil || req == nil {
		return inbound{}, fmt.Errorf("%w %d", errUnknownRequest, key)
	}
	in := inbound{frame: frame, corr: corr, req: req}
	if clientID != nil {
		in.clientID = *clientID
	}
	req.SetVersion(version)
	if version > req.MaxVersion() {
		return in, nil // only ApiVersions may ask for more than we know; kfake answers it
	}
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return inbound{}, fmt.Errorf("request %s version %d: %w", kmsg.NameForKey(key), version, err)
	}
	return in, nil
}

// decode reads the response to a request out of its frame, which byte fields alias.
func decode(req kmsg.Request, frame []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	r := kbin.Reader{Src: frame[4:]}
	r.Int32()
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		kmsg.SkipTags(&r)
	}
	if err := r.Complete(); err != nil {
		return nil, err
	}
	return resp, resp.ReadFrom(r.Src)
}

// encode makes the frame of a response.
func encode(resp kmsg.Response, corr int32) []byte {
	frame := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(corr))
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		frame = append(frame, 0)
	}
	frame = resp.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}
