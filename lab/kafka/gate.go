package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// maxFrame bounds one request or answer that passes a gate, in bytes.
const maxFrame = 128 << 20

// Gate is a path to a broker that can hold requests of some kinds back, and let them through later: what a network
// does with bytes that a client sent long ago. It is a Link. Its methods may be called at any time from anywhere.
type Gate struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	closed bool
	keys   map[int16]bool
	held   []*Held
	conns  map[net.Conn]bool
}

// Held is a request that was held back.
type Held struct {
	// Key and Version are the request's, of Kafka's protocol.
	Key, Version int16

	frame  []byte
	server net.Conn
	answer chan []byte
}

// OpenGate opens a gate on the loopback address that leads nowhere until Forward, and lets everything through until Hold.
func OpenGate() (*Gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &Gate{listener: l, keys: map[int16]bool{}, conns: map[net.Conn]bool{}}
	g.running.Go(g.serve)
	return g, nil
}

// Addr is the host:port that clients dial.
func (g *Gate) Addr() string { return g.listener.Addr().String() }

// Forward says which host:port new connections lead to.
func (g *Gate) Forward(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.target = addr
}

// Hold holds back all requests of these kinds from now on. Their clients lose the connection, and get no answer.
func (g *Gate) Hold(keys ...int16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		g.keys[k] = true
	}
}

// Count is how many requests of a kind are held back.
func (g *Gate) Count(key int16) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, h := range g.held {
		if h.Key == key {
			n++
		}
	}
	return n
}

// Release lets what is held back through, in the order in which it came, each once the one before is answered, and all
// that comes later. It calls take with each request and the broker's answer, without its length and correlation id. The
// error says that the broker did not answer one of them.
func (g *Gate) Release(take func(h *Held, answer []byte)) error {
	g.mu.Lock()
	held := g.held
	g.held, g.keys = nil, map[int16]bool{}
	g.mu.Unlock()
	for _, h := range held {
		if _, err := h.server.Write(h.frame); err != nil {
			return err
		}
		answer, ok := <-h.answer
		if !ok {
			return errors.New("the broker closed the connection of a request that was held back")
		}
		take(h, answer)
	}
	return nil
}

// Close stops listening, drops all connections and what is held back, and waits until nothing of the gate runs.
func (g *Gate) Close() error {
	err := g.listener.Close()
	g.mu.Lock()
	g.closed = true
	for c := range g.conns {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.running.Wait()
	return err
}

func (g *Gate) serve() {
	for {
		c, err := g.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			g.running.Go(func() { g.connect(c) })
		}
	}
}

// enter lists an open connection; false when the gate is closed.
func (g *Gate) enter(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = c.Close()
		return false
	}
	g.conns[c] = true
	return true
}

func (g *Gate) leave(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	_ = c.Close()
}

// connect joins a client with the broker until one of them ends, or a request is held back: then the broker's side
// stays open for it.
func (g *Gate) connect(client net.Conn) {
	defer g.leave(client)
	if !g.enter(client) {
		return
	}
	g.mu.Lock()
	target := g.target
	g.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil || !g.enter(server) {
		return
	}
	p := passing{client: client, server: server, answers: make(chan []byte, 1)}
	g.running.Go(func() {
		defer g.leave(server)
		p.back()
	})
	if !g.requests(&p) {
		g.leave(server)
	}
}

// passing is one client's connection through the gate.
type passing struct {
	client, server net.Conn
	answers        chan []byte

	mu sync.Mutex
	// held is the correlation id of the request that was held back; waits says that there is one.
	held  uint32
	waits bool
}

// requests passes on what the client asks, and says whether it ended because one request was held back.
func (g *Gate) requests(p *passing) bool {
	for {
		frame, err := readFrame(p.client)
		if err != nil || len(frame) < 12 {
			return false
		}
		if g.hold(p, frame) {
			return true
		}
		if _, err := p.server.Write(frame); err != nil {
			return false
		}
	}
}

// hold keeps a request back, if its kind is to be.
func (g *Gate) hold(p *passing, frame []byte) bool {
	key := int16(binary.BigEndian.Uint16(frame[4:]))
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.keys[key] {
		return false
	}
	p.mu.Lock()
	p.held, p.waits = binary.BigEndian.Uint32(frame[8:]), true
	p.mu.Unlock()
	g.held = append(g.held, &Held{Key: key, Version: int16(binary.BigEndian.Uint16(frame[6:])), frame: frame, server: p.server, answer: p.answers})
	return true
}

// back passes on what the broker answers. The answer to a request that was held back goes to who released it.
func (p *passing) back() {
	defer close(p.answers)
	for {
		frame, err := readFrame(p.server)
		if err != nil || len(frame) < 8 {
			return
		}
		if p.isHeld(binary.BigEndian.Uint32(frame[4:])) {
			p.answers <- frame[8:]
			return
		}
		if _, err := p.client.Write(frame); err != nil && !p.holds() {
			return
		}
	}
}

// holds says whether a request was held back: then the client is gone, and the broker's answer still wanted.
func (p *passing) holds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waits
}

func (p *passing) isHeld(id uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waits && p.held == id
}

// readFrame reads a request or an answer with its length before it.
func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, errors.New("the frame is too long")
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}
