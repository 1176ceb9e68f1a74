package hdfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// stage is what a DataNode learns from the setup of a chain.
type stage struct {
	stage, generation uint64
	least, most       int64
	others            int
}

// readStage reads what the tests look at in OpWriteBlockProto.
func readStage(d *proto.Decoder) stage {
	var s stage
	for d.Next() {
		switch d.Number() {
		case 2:
			s.others++
		case 4:
			s.stage = d.Uint()
		case 6:
			s.least = d.Int()
		case 7:
			s.most = d.Int()
		case 8:
			s.generation = d.Uint()
		}
	}
	return s
}

// writing plays a DataNode that takes a block, and says of each packet what the function of a test wants.
func writing(t *testing.T, setup func(stage) []byte, reply func(n int, h packet.Header, data []byte) []uint64) *DataNode {
	return dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		op, request := operation(in)
		if op != opWriteBlock {
			return
		}
		s, _ := proto.Parse(request, readStage)
		_, _ = nc.Write(setup(s))
		f := packet.NewFrame(packetData, chunk)
		for n := 0; ; n++ {
			h, err := f.Read(in)
			if err != nil {
				return
			}
			said := reply(n, h, f.Data())
			if said == nil {
				return
			}
			m := proto.Message(nil).Sint(1, h.Seq)
			for _, status := range said {
				m = m.Uint(2, status)
			}
			_, _ = nc.Write(m.Delimited(nil))
		}
	})
}

// ready is the answer to a setup that succeeded.
func ready(stage) []byte { return proto.Message(nil).Uint(1, statusSuccess).Delimited(nil) }

// fine is what a chain of two says when all is well.
func fine(int, packet.Header, []byte) []uint64 { return []uint64{statusSuccess, statusSuccess} }

// played is a NameNode that hands out blocks on the given DataNodes, and remembers what it was asked.
type played struct {
	mu    sync.Mutex
	calls []asked
	nodes []*DataNode
	given atomic.Uint64
}

// answer plays the calls of a writer.
func (p *played) answer(a asked) answered {
	p.mu.Lock()
	p.calls = append(p.calls, a)
	p.mu.Unlock()
	switch a.method {
	case "create":
		return wrapped(proto.Message(nil).Uint(1, 2).String(2, "").Uint(3, 0).Uint(13, 99))
	case "addBlock", "updateBlockForPipeline":
		return wrapped(p.block())
	case "complete", "delete":
		return answered{body: proto.Message(nil).Bool(1, true)}
	}
	return answered{}
}

// block gives a block with a generation of its own.
func (p *played) block() proto.Message {
	n := p.given.Add(1)
	b := Block{Pool: "BP", ID: 1000 + n}
	m := proto.Message(nil).Bytes(1, b.encode(n, 0)).Uint(2, 0)
	for _, node := range p.nodes {
		m = m.Bytes(3, node.encode())
	}
	return m.Bool(4, false).Bytes(5, token{}.encode())
}

// asked gives the calls of one method.
func (p *played) asked(method string) []asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.calls), func(a asked) bool { return a.method != method })
}

// begin opens a file at the played NameNode.
func (p *played) begin(t *testing.T) *FileWriter {
	t.Helper()
	c := dialed(t, Options{NameNodes: []string{nameNode(t, defaults(p.answer))}, RetryFor: time.Second})
	w, err := c.Create(t.Context(), "/f", CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Abort() })
	return w
}

// fill writes a file and closes it.
func fill(w *FileWriter, size int) error {
	if _, err := w.Write(bytes.Repeat([]byte("x"), size)); err != nil {
		return err
	}
	return w.Close()
}

// The first DataNode says at the setup that it cannot reach the second: that one is left out of the next block.
func TestWhoIsBlamedAtTheSetupIsLeftOut(t *testing.T) {
	second := &DataNode{IP: "127.0.0.1", Host: "second", UUID: "second", Port: 9}
	var setups atomic.Int64
	first := writing(t, func(s stage) []byte {
		if setups.Add(1) == 1 {
			return proto.Message(nil).Uint(1, 1).String(2, second.Address()).Delimited(nil)
		}
		return ready(s)
	}, fine)
	p := &played{nodes: []*DataNode{first, second}}
	w := p.begin(t)
	if err := fill(w, 1000); err != nil {
		t.Fatal(err)
	}
	adds := p.asked("addBlock")
	if len(adds) != 2 || len(p.asked("abandonBlock")) != 1 || bytes.Contains(adds[0].argument, second.encode()) || !bytes.Contains(adds[1].argument, second.encode()) {
		t.Errorf("%d blocks, %d given back", len(adds), len(p.asked("abandonBlock")))
	}
	if bytes.Contains(adds[1].argument, first.encode()) || w.Written().Recoveries != 1 {
		t.Error("the first DataNode is left out too")
	}
}

// A DataNode whose disk is full only closes the connection. Left out, nobody is there to write to, which says nothing about room; asked for again
// after a moment, the NameNode knows that there is none. Where no DataNode runs, room is not what is missing.
func TestWhoHasNoRoom(t *testing.T) {
	const none = "File /f could only be written to 0 of the 1 minReplication nodes. There are %s datanode(s) running and %s node(s) are excluded in this operation."
	node := dataNode(t, func(net.Conn, *bufio.Reader) {})
	p := &played{nodes: []*DataNode{node}}
	for running, want := range map[string]bool{"1": true, "0": false} {
		c := dialed(t, Options{RetryFor: time.Second, NameNodes: []string{nameNode(t, defaults(func(a asked) answered {
			full := running == "0" || len(p.asked("addBlock")) > 0
			if a.method == "addBlock" && full {
				return answered{class: "java.io.IOException", message: fmt.Sprintf(none, running, "1")}
			}
			return p.answer(a)
		}))}})
		w, err := c.Create(t.Context(), "/f", CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := fill(w, 1000); err == nil || errors.Is(err, ErrNoSpace) != want {
			t.Errorf("with %s DataNodes: %v", running, err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
}

// A short block whose chain breaks is written anew as another one.
func TestAShortBlockIsWrittenAnew(t *testing.T) {
	var blocks atomic.Int64
	node := writing(t, func(s stage) []byte {
		if s.stage != stageCreate {
			t.Errorf("set up in stage %d", s.stage)
		}
		blocks.Add(1)
		return ready(s)
	}, func(n int, h packet.Header, _ []byte) []uint64 {
		if blocks.Load() == 1 && n == 1 {
			return []uint64{statusSuccess, 1}
		}
		return fine(n, h, nil)
	})
	p := &played{nodes: []*DataNode{node, {IP: "127.0.0.1", Host: "second", UUID: "second", Port: 9}}}
	if err := fill(p.begin(t), 3*packetData+5); err != nil {
		t.Fatal(err)
	}
	if len(p.asked("addBlock")) != 2 || len(p.asked("updatePipeline")) != 0 {
		t.Errorf("%d blocks, %d mended", len(p.asked("addBlock")), len(p.asked("updatePipeline")))
	}
}

// It is the new block that the file ends with, also when the old one broke at its very end, or in a flush.
func TestWhatIsWrittenAnewIsWhatCounts(t *testing.T) {
	for name, flush := range map[string]bool{"at the end": false, "in a flush": true} {
		t.Run(name, func(t *testing.T) {
			var blocks atomic.Int64
			node := writing(t, func(s stage) []byte {
				blocks.Add(1)
				return ready(s)
			}, func(n int, h packet.Header, data []byte) []uint64 {
				if blocks.Load() == 1 && h.Last != flush {
					return []uint64{statusSuccess, 1}
				}
				return fine(n, h, data)
			})
			p := &played{nodes: []*DataNode{node, {IP: "127.0.0.1", Host: "second", UUID: "second", Port: 9}}}
			w := p.begin(t)
			if _, err := w.Write(make([]byte, 700)); err != nil {
				t.Fatal(err)
			}
			if flush {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if err := fill(w, 300); err != nil {
				t.Fatal(err)
			}
			second := Block{Pool: "BP", ID: 1002}
			done := p.asked("complete")
			if len(done) != 1 || !bytes.Contains(done[0].argument, second.encode(2, 1000)) || blocks.Load() != 2 {
				t.Errorf("%d blocks, the file ends with %q", blocks.Load(), done[0].argument)
			}
		})
	}
}

// Of a long block the survivors take a new generation, and get what was not acknowledged again. Its packets are longer behind the first
// mebibyte.
func TestALongBlockIsMended(t *testing.T) {
	const broken, acknowledged = 25, wideFrom + (25-wideFrom/packetData)*wideData
	var mended atomic.Pointer[stage]
	var again atomic.Int64
	again.Store(-1)
	node := writing(t, func(s stage) []byte {
		if s.stage != stageCreate {
			mended.Store(&s)
		}
		return ready(s)
	}, func(n int, h packet.Header, _ []byte) []uint64 {
		if mended.Load() != nil {
			if n == 0 {
				again.Store(h.Offset)
			}
			return []uint64{statusSuccess}
		}
		if n == broken {
			return []uint64{statusSuccess, 1}
		}
		return fine(n, h, nil)
	})
	p := &played{nodes: []*DataNode{node, {IP: "127.0.0.1", Host: "second", UUID: "second", Port: 9}}}
	w := p.begin(t)
	if err := fill(w, 80*packetData); err != nil {
		t.Fatal(err)
	}
	s := mended.Load()
	if s == nil || s.stage != stageStreamingRecovery || s.least != acknowledged || s.most < s.least || s.others != 0 || s.generation != 2 || again.Load() != s.least {
		t.Errorf("mended as %+v, sent again from %d", s, again.Load())
	}
	updates := p.asked("updatePipeline")
	if len(updates) != 1 || !bytes.Contains(updates[0].argument, node.encodeID()) || bytes.Contains(updates[0].argument, []byte("second")) {
		t.Errorf("the NameNode was told %d times", len(updates))
	}
	if len(p.asked("abandonBlock")) != 0 || w.Written().Recoveries != 1 {
		t.Error("the block was given back")
	}
}

// A packet that goes on as it came is under the checksums that it came with. Where it was damaged in between, every DataNode refuses it, and none is
// to blame: the file fails as one that has to be read again.
func TestDamagedInMemory(t *testing.T) {
	for name, c := range map[string]struct {
		damaged bool
		want    error
		blocks  int
	}{
		"the packet":   {true, ErrChecksum, 1},
		"the DataNode": {false, ErrPipeline, maxRecoveries + 1},
	} {
		t.Run(name, func(t *testing.T) {
			node := writing(t, ready, func(int, packet.Header, []byte) []uint64 { return []uint64{statusChecksum} })
			p := &played{nodes: []*DataNode{node}}
			w := p.begin(t)
			f := w.client.data.frame()
			f.Reset(chunk)
			f.Fill(bytes.Repeat([]byte("x"), chunk), chunk)
			came := &Packet{frame: f, owner: w.client.data, sum: f.Sum(w.client.joiner), whole: true}
			if c.damaged {
				came.Data()[100] ^= 0x10
			}
			err := w.WritePacket(came)
			if err == nil {
				err = w.Close()
			}
			if !errors.Is(err, c.want) || errors.Is(err, ErrChecksum) != c.damaged {
				t.Errorf("it ends with %v", err)
			}
			if n := len(p.asked("addBlock")); n > c.blocks || c.damaged && n != 1 {
				t.Errorf("%d blocks were asked for", n)
			}
		})
	}
}

// A DataNode that acknowledges what it did not get must not be believed; with no other one left the file fails, and says so.
func TestFalseAcknowledgementsAreNotBelieved(t *testing.T) {
	node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		if op, _ := operation(in); op != opWriteBlock {
			return
		}
		_, _ = nc.Write(append(ready(stage{}), proto.Message(nil).Sint(1, 7).Uint(2, 0).Delimited(nil)...))
		_, _ = io.Copy(io.Discard, in)
	})
	p := &played{nodes: []*DataNode{node}}
	err := fill(p.begin(t), 1000)
	if !errors.Is(err, ErrPipeline) || !errors.Is(err, ErrProtocol) {
		t.Errorf("it ends with %v", err)
	}
}

// Pieces are at most as long as one asks for, and give the whole file one after the other, with reads in between.
func TestPiecesWithin(t *testing.T) {
	node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		operation(in)
		for _, b := range [][]byte{reading(0), dataPacket(0, "0123456789", false), dataPacket(10, "abcdef", false), dataPacket(16, "", true)} {
			_, _ = nc.Write(b)
		}
		_, _ = io.Copy(io.Discard, in)
	})
	c := dialed(t, Options{NameNodes: []string{nameNode(t, defaults(func(asked) answered {
		b := Block{Pool: "BP", ID: 1}
		block := proto.Message(nil).Bytes(1, b.encode(1, 16)).Uint(2, 0).Bytes(3, node.encode()).Bytes(5, token{}.encode())
		return wrapped(proto.Message(nil).Uint(1, 16).Bytes(2, block))
	}))}})
	r, err := c.Open(t.Context(), "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	piece := func(most int64) string {
		p, err := r.NextWithin(most)
		if err != nil {
			return err.Error()
		}
		defer p.Release()
		if p.CRC32C() != crc.Sum(p.Data()) || p.Offset+int64(len(p.Data())) != r.Offset() {
			t.Errorf("%q at %d: sum %08x, the reader is at %d", p.Data(), p.Offset, p.CRC32C(), r.Offset())
		}
		return string(p.Data())
	}
	got := []string{piece(3), piece(4)}
	b := make([]byte, 2)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	got = append(got, string(b), piece(5), piece(6), piece(1))
	if want := []string{"012", "3456", "78", "9", "abcdef", "EOF"}; !slices.Equal(got, want) {
		t.Errorf("pieces %q, want %q", got, want)
	}
}

// A token that expired is nobody's fault: the locations are asked for again, and come with new ones.
func TestExpiredTokensAreAskedForAgain(t *testing.T) {
	var reads atomic.Int64
	node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		operation(in)
		if reads.Add(1) == 1 {
			_, _ = nc.Write(proto.Message(nil).Uint(1, statusAccessToken).Delimited(nil))
			return
		}
		for _, b := range [][]byte{reading(0), dataPacket(0, "data", false), dataPacket(4, "", true)} {
			_, _ = nc.Write(b)
		}
		_, _ = io.Copy(io.Discard, in)
	})
	var located atomic.Int64
	c := dialed(t, Options{NameNodes: []string{nameNode(t, defaults(func(asked) answered {
		located.Add(1)
		b := Block{Pool: "BP", ID: 1}
		block := proto.Message(nil).Bytes(1, b.encode(1, 4)).Uint(2, 0).Bytes(3, node.encode()).Bytes(5, token{}.encode())
		return wrapped(proto.Message(nil).Uint(1, 4).Bytes(2, block))
	}))}})
	r, err := c.Open(t.Context(), "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil || b.String() != "data" || located.Load() != 2 || len(r.BadReplicas()) != 0 {
		t.Errorf("%q, %v, located %d times, bad %v", b.String(), err, located.Load(), r.BadReplicas())
	}
}
