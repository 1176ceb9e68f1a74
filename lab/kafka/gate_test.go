package kafka_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// request is the smallest one: its length, kind, version and correlation id.
func request(key, version int16, id uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, 8)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return binary.BigEndian.AppendUint32(b, id)
}

// answering is a server that answers each request with its kind.
func answering(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			serving.Go(func() {
				defer c.Close()
				in := make([]byte, 12)
				for {
					if _, err := io.ReadFull(c, in); err != nil {
						return
					}
					out := append(binary.BigEndian.AppendUint32(nil, 6), in[8:12]...)
					if _, err := c.Write(append(out, in[4:6]...)); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func TestGate(t *testing.T) {
	g, err := kafka.OpenGate()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	g.Forward(answering(t))
	ask := func(key int16) (net.Conn, error) {
		c, err := net.Dial("tcp", g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(request(key, 3, 7)); err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadFull(c, make([]byte, 10))
		return c, err
	}
	pass, err := ask(1)
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	g.Hold(8)
	held, err := ask(8)
	if err == nil {
		t.Fatal("a request that is to be held back was answered")
	}
	held.Close()
	other, err := ask(1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if g.Count(8) != 1 || g.Count(1) != 0 {
		t.Fatalf("%d and %d are held back", g.Count(8), g.Count(1))
	}
	var got []int16
	err = g.Release(func(h *kafka.Held, answer []byte) {
		got = append(got, h.Key, h.Version, int16(binary.BigEndian.Uint16(answer)))
	})
	if err != nil || len(got) != 3 || got[0] != 8 || got[1] != 3 || got[2] != 8 {
		t.Fatalf("released %v, %v", got, err)
	}
	again, err := ask(8)
	if err != nil {
		t.Fatalf("nothing is to be held back any more: %v", err)
	}
	again.Close()
}
