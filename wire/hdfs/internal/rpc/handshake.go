package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Ways of authentication announced in the first bytes.
const (
	authNone = 0
	authSasl = 0xDF // -33
)

// Steps of the authentication exchange (RpcSaslProto.SaslState).
const (
	stateSuccess   = 0
	stateNegotiate = 1
	stateInitiate  = 2
	stateChallenge = 3
	stateResponse  = 4
	stateWrap      = 5
)

// ErrNoKerberos is given when Kerberos was asked for and the server does not offer it.
// There is no fallback to simple authentication: a server that lost its settings must be noticed.
var ErrNoKerberos = errors.New("server offers no Kerberos authentication")

// saslMessage is one message of the exchange.
type saslMessage struct {
	state uint64
	token []byte
	auths []saslAuth
}

// saslAuth is one way of authentication that the server offers.
type saslAuth struct {
	method, mechanism, protocol, server string
}

// encode gives the message as sent.
func (m saslMessage) encode() proto.Message {
	b := proto.Message(nil).Uint(1, 0).Uint(2, m.state)
	if m.token != nil {
		b = b.Bytes(3, m.token)
	}
	for _, a := range m.auths {
		b = b.Bytes(4, proto.Message(nil).String(1, a.method).String(2, a.mechanism).String(3, a.protocol).String(4, a.server))
	}
	return b
}

func readSasl(d *proto.Decoder) saslMessage {
	var m saslMessage
	for d.Next() {
		switch d.Number() {
		case 2:
			m.state = d.Uint()
		case 3:
			m.token = d.Bytes()
		case 4:
			m.auths = append(m.auths, proto.Sub(d, readSaslAuth))
		}
	}
	return m
}

func readSaslAuth(d *proto.Decoder) saslAuth {
	var a saslAuth
	for d.Next() {
		switch d.Number() {
		case 1:
			a.method = d.String()
		case 2:
			a.mechanism = d.String()
		case 3:
			a.protocol = d.String()
		case 4:
			a.server = d.String()
		}
	}
	return a
}

// handshake says who is calling. With simple authentication nothing comes back before the first answer.
func (c *Conn) handshake(ctx context.Context) error {
	auth := byte(authNone)
	if c.cfg.Login != nil {
		auth = authSasl
	}
	hello := []byte{'h', 'r', 'p', 'c', 9, 0, auth}
	if c.cfg.Login == nil {
		_, err := c.nc.Write(c.frame(hello, callContext, 0, c.identity()))
		return err
	}
	if _, err := c.nc.Write(hello); err != nil {
		return err
	}
	if err := c.authenticate(ctx); err != nil {
		return err
	}
	return c.send(c.frame(nil, callContext, 0, c.identity()))
}

// identity is the context of the connection: the user to act as, and the protocol.
func (c *Conn) identity() proto.Message {
	user := proto.Message(nil)
	if c.cfg.User != "" {
		user = user.String(1, c.cfg.User)
	}
	return proto.Message(nil).Bytes(2, user).String(3, c.cfg.Protocol)
}

// authenticate runs the exchange until the server is content, and takes over the protection agreed in it.
func (c *Conn) authenticate(ctx context.Context) error {
	if err := c.sendSasl(saslMessage{state: stateNegotiate}); err != nil {
		return err
	}
	offer, err := c.nextSasl()
	if err != nil {
		return err
	}
	chosen, err := kerberosOf(offer)
	if err != nil {
		return err
	}
	mechanism, err := c.cfg.Login(ctx)
	if err != nil {
		return err
	}
	token, err := mechanism.Start()
	if err != nil {
		return err
	}
	reply := saslMessage{state: stateInitiate, token: token, auths: []saslAuth{chosen}}
	for {
		if err := c.sendSasl(reply); err != nil {
			return err
		}
		m, err := c.nextSasl()
		if err != nil {
			return err
		}
		if m.state != stateChallenge && m.state != stateSuccess {
			return fmt.Errorf("server sent step %d in the middle of authentication", m.state)
		}
		if m.state == stateSuccess && m.token == nil && mechanism.Done() {
			break
		}
		if token, err = mechanism.Step(m.token); err != nil {
			return err
		}
		if m.state == stateSuccess {
			break
		}
		// A response without a token is refused; an empty one says that there is nothing to say.
		reply = saslMessage{state: stateResponse, token: append([]byte{}, token...)}
	}
	if !mechanism.Done() {
		return errors.New("server ended authentication before it proved itself")
	}
	c.secure = mechanism.Security()
	return nil
}

// kerberosOf picks Kerberos out of what the server offers.
func kerberosOf(offer saslMessage) (saslAuth, error) {
	var others []string
	for _, a := range offer.auths {
		if a.method == "KERBEROS" && a.mechanism == "GSSAPI" {
			return a, nil
		}
		others = append(others, a.method)
	}
	if len(others) == 0 {
		others = []string{"SIMPLE"}
	}
	return saslAuth{}, fmt.Errorf("%w; it offers %s", ErrNoKerberos, strings.Join(others, ", "))
}

// sendSasl sends one message of the exchange.
func (c *Conn) sendSasl(m saslMessage) error {
	_, err := c.nc.Write(c.frame(nil, callSasl, 0, m.encode()))
	return err
}

// nextSasl reads one message of the exchange; a refusal is a *ServerError.
func (c *Conn) nextSasl() (saslMessage, error) {
	frame, err := c.nextRaw()
	if err != nil {
		return saslMessage{}, err
	}
	h, body, err := parseAnswer(frame)
	if err != nil {
		return saslMessage{}, err
	}
	if refused := h.refusal(); refused != nil {
		return saslMessage{}, refused
	}
	if h.id != callSasl {
		return saslMessage{}, fmt.Errorf("server answered call %d in the middle of authentication", h.id)
	}
	return proto.Parse(body, readSasl)
}

// nextWrapped reads one protected message and gives what it holds.
func (c *Conn) nextWrapped() ([]byte, error) {
	m, err := c.nextSasl()
	if err != nil {
		return nil, err
	}
	if m.state != stateWrap {
		return nil, fmt.Errorf("server sent step %d where a protected message was agreed", m.state)
	}
	c.heard.Store(time.Now().UnixNano())
	return c.secure.Unwrap(m.token)
}
