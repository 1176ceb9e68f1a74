package hdfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Stages in which a pipeline is set up (OpWriteBlockProto.BlockConstructionStage).
const (
	stageAppend            = 0
	stageAppendRecovery    = 1
	stageStreamingRecovery = 3
	stageCloseRecovery     = 5
	stageCreate            = 6
)

const (
	// holdWhole is how much of a block is held although it is acknowledged: a short block can then be written anew somewhere else,
	// which is simpler and surer than mending its pipeline.
	holdWhole = 1 << 20
	// beatEvery is how often an idle writer shows that it lives; DataNodes give up after a minute.
	beatEvery = 10 * time.Second
	// waitPerNode is how much longer one waits for each DataNode that is further down the chain (HdfsConstants.READ_TIMEOUT_EXTENSION).
	waitPerNode = 5 * time.Second
)

// sentPacket is a packet that was handed over, and is held until every DataNode has it.
type sentPacket struct {
	frame  *packet.Frame
	owner  *dataNodes
	header packet.Header
}

// blockWriter writes one block through a chain of DataNodes, of which each passes on what it gets.
type blockWriter struct {
	file *FileWriter
	// block names the block, and lists the DataNodes that still write it.
	block Block
	stage uint64
	// began is how many DataNodes the chain had at first.
	began int
	// at is where the next packet begins in the block; high is the end of what was ever sent.
	at, high int64
	seq      int64
	// flushed says that readers may have seen some of it.
	flushed bool
	closing bool

	conn  *dataConn
	ended chan struct{}
	beat  *time.Timer
	// sending keeps heartbeats out of packets.
	sending sync.Mutex

	mu sync.Mutex
	// queue holds packets, oldest first: acked of them are everywhere, next is the first that the present chain has not got.
	queue       []sentPacket
	acked, next int
	// durable is the end of what is everywhere.
	durable int64
	// whole says that the queue holds all of the block.
	whole bool
	// err is what broke the chain, bad the place in it that did.
	err     error
	bad     int
	changed chan struct{}
}

// newBlockWriter makes a writer for a block that has length bytes already.
func newBlockWriter(w *FileWriter, b *Block, stage uint64, length int64) *blockWriter {
	return &blockWriter{
		file: w, block: *b, stage: stage, began: len(b.Replicas), at: length, high: length, durable: length,
		whole: length == 0, changed: make(chan struct{}, 1),
	}
}

// push adds a packet to what is to be sent. The frame now belongs to the block.
func (b *blockWriter) push(f *packet.Frame, owner *dataNodes, last, sync bool) {
	size := int64(len(f.Data()))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, sentPacket{frame: f, owner: owner, header: packet.Header{Offset: b.at, Seq: b.seq, Last: last, Sync: sync}})
	b.seq++
	b.at += size
	b.high = max(b.high, b.at)
	b.closing = b.closing || last
	if b.high > holdWhole {
		b.whole = false
	}
}

// pump sends what is queued, as far as the window lets it, and with all waits until every DataNode has everything.
// It fails when the chain is broken.
func (b *blockWriter) pump(all bool) error {
	for {
		one, wait, err := b.step(all)
		if err != nil {
			return err
		}
		if one != nil {
			if err := b.transmit(one); err != nil {
				return err
			}
			continue
		}
		if !wait {
			return nil
		}
		select {
		case <-b.changed:
		case <-b.file.ctx.Done():
			return context.Cause(b.file.ctx)
		}
	}
}

// step decides what to do next: send a packet, wait for news, or neither.
func (b *blockWriter) step(all bool) (one *sentPacket, wait bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, false, b.err
	}
	b.forget()
	if b.next == len(b.queue) {
		return nil, all && b.acked < len(b.queue), nil
	}
	if b.next > b.acked && b.unacked() >= int64(b.file.client.opts.WriteWindow)*packetData || b.next-b.acked >= b.file.client.opts.WriteWindow {
		return nil, true, nil
	}
	one = &b.queue[b.next]
	b.next++
	return one, false, nil
}

// unacked is how much of the data that was sent is not acknowledged.
func (b *blockWriter) unacked() int64 {
	last := &b.queue[b.next-1]
	return last.header.Offset + int64(len(last.frame.Data())) - b.queue[b.acked].header.Offset
}

// forget gives back the packets that are everywhere, unless the whole block is held. Only the writing goroutine does so:
// the other one may see an acknowledgement before the call that sent the packet has returned.
func (b *blockWriter) forget() {
	if b.whole || b.acked == 0 {
		return
	}
	for i := range b.acked {
		b.queue[i].release()
	}
	b.queue = append(b.queue[:0], b.queue[b.acked:]...)
	b.next -= b.acked
	b.acked = 0
}

// release gives the buffer back.
func (s *sentPacket) release() {
	s.owner.release(s.frame)
	s.frame = nil
}

// transmit sends one packet.
func (b *blockWriter) transmit(s *sentPacket) error {
	b.sending.Lock()
	defer b.sending.Unlock()
	_ = b.conn.nc.SetWriteDeadline(time.Now().Add(b.conn.timeout))
	_, err := b.conn.out.Write(s.frame.Seal(s.header))
	if err == nil {
		return nil
	}
	// The DataNode may have said which one of the chain failed before it closed the connection.
	_ = b.conn.nc.SetReadDeadline(time.Now().Add(time.Second))
	<-b.ended
	b.fail(0, err)
	return b.broken()
}

// broken gives what broke the chain.
func (b *blockWriter) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// fail notes what broke the chain, once, and which place in it.
func (b *blockWriter) fail(place int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if place >= len(b.block.Replicas) {
		place = 0
	}
	if b.err == nil {
		b.err, b.bad = fmt.Errorf("DataNode %s: %w", b.name(place), err), place
	}
	b.notify()
}

// name is the address of one of the chain.
func (b *blockWriter) name(place int) string {
	if place < len(b.block.Replicas) {
		return b.file.client.data.address(b.block.Replicas[place].Node)
	}
	return "unknown"
}

// notify wakes the writing goroutine.
func (b *blockWriter) notify() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// run takes over a chain that was set up, and starts to hear its acknowledgements.
func (b *blockWriter) run(conn *dataConn) {
	b.mu.Lock()
	b.err, b.bad = nil, 0
	b.mu.Unlock()
	b.conn, b.ended = conn, make(chan struct{})
	every := min(beatEvery, conn.timeout/3)
	b.sending.Lock()
	b.beat = time.AfterFunc(every, func() { b.heartbeat(conn, every) })
	b.sending.Unlock()
	go b.listen(conn, b.ended)
}

// heartbeat keeps an idle chain alive.
func (b *blockWriter) heartbeat(conn *dataConn, every time.Duration) {
	b.sending.Lock()
	defer b.sending.Unlock()
	f := packet.NewFrame(0, chunk)
	f.Reset(chunk)
	_ = conn.nc.SetWriteDeadline(time.Now().Add(conn.timeout))
	if _, err := conn.out.Write(f.Seal(packet.Header{Seq: packet.Heartbeat})); err == nil {
		b.beat.Reset(every)
	}
}

// halt ends the present chain and waits until nothing of it runs.
func (b *blockWriter) halt() {
	if b.conn == nil {
		return
	}
	b.conn.close()
	b.sending.Lock()
	b.beat.Stop()
	b.sending.Unlock()
	<-b.ended
	b.conn = nil
}

// listen reads acknowledgements until the last packet of the block, or until the chain breaks.
func (b *blockWriter) listen(conn *dataConn, ended chan struct{}) {
	defer close(ended)
	for {
		_ = conn.nc.SetReadDeadline(time.Now().Add(conn.timeout))
		raw, err := delimited(conn.in)
		var a ack
		if err == nil {
			a, err = proto.Parse(raw, readAck)
		}
		if err != nil {
			b.fail(0, fmt.Errorf("no acknowledgement: %w", err))
			return
		}
		if place, refused := a.refused(); refused {
			b.fail(place, fmt.Errorf("acknowledged packet %d with status %d", a.seq, a.replies[place]))
			return
		}
		if a.seq == packet.Heartbeat {
			continue
		}
		done, err := b.acknowledge(a.seq)
		if err != nil {
			b.fail(0, err)
			return
		}
		if done {
			return
		}
	}
}

// acknowledge notes that a packet is everywhere, and says whether it was the last of the block.
func (b *blockWriter) acknowledge(seq int64) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acked >= b.next || b.queue[b.acked].header.Seq != seq {
		return false, fmt.Errorf("%w: packet %d acknowledged out of turn", ErrProtocol, seq)
	}
	s := &b.queue[b.acked]
	b.durable = max(b.durable, s.header.Offset+int64(len(s.frame.Data())))
	b.acked++
	b.notify()
	return s.header.Last, nil
}

// ack is PipelineAckProto.
type ack struct {
	seq     int64
	replies []uint64
}

func readAck(d *proto.Decoder) ack {
	var a ack
	for d.Next() {
		switch d.Number() {
		case 1:
			a.seq = d.Sint()
		case 2:
			a.replies = d.Uints(a.replies)
		}
	}
	return a
}

// refused gives the first place of the chain that did not take the packet.
func (a ack) refused() (int, bool) {
	for i, r := range a.replies {
		if r != statusSuccess && r != statusInProgress {
			return i, true
		}
	}
	return 0, false
}

// connect sets up a chain over the present DataNodes. generation is the one that the block is to have from now on; 0 while it is new.
// On failure it says which place is to blame.
func (b *blockWriter) connect(stage, generation uint64, t token) (*dataConn, int, error) {
	w := b.file
	first := b.block.Replicas[0]
	conn, err := w.client.data.dial(w.ctx, first.Node, t)
	if err != nil {
		return nil, 0, err
	}
	// Each DataNode waits for those behind it. Who waits longest is in front, so that the one to blame is named before we give up on all.
	conn.timeout += time.Duration(len(b.block.Replicas)) * waitPerNode
	if err = conn.start(opWriteBlock, b.request(stage, generation, t)); err == nil {
		_, err = conn.reply("write")
	}
	if err == nil {
		return conn, 0, nil
	}
	conn.close()
	var refused *dataError
	if errors.As(err, &refused) && refused.firstBad != "" {
		for i, r := range b.block.Replicas {
			if r.Node.Address() == refused.firstBad || r.Node.HostAddress() == refused.firstBad {
				return nil, i, err
			}
		}
	}
	return nil, 0, err
}

// request gives OpWriteBlockProto.
func (b *blockWriter) request(stage, generation uint64, t token) proto.Message {
	w := b.file
	nodes := b.block.Replicas
	b.mu.Lock()
	durable := b.durable
	b.mu.Unlock()
	m := proto.Message(make([]byte, 0, 1024)).Bytes(1, w.client.operationHeader(b.block.encode(b.block.Generation, durable), t))
	for _, r := range nodes[1:] {
		m = m.Bytes(2, r.Node.encode())
	}
	m = m.Uint(4, stage).Uint(5, uint64(len(nodes))).Int(6, durable).Int(7, b.high).Uint(8, generation).
		Bytes(9, proto.Message(nil).Uint(1, checksumCRC32C).Uint(2, chunk))
	if nodes[0].StorageType != 0 {
		m = m.Uint(11, uint64(nodes[0].StorageType))
		for _, r := range nodes[1:] {
			m = m.Uint(12, uint64(r.StorageType))
		}
	}
	if nodes[0].StorageID != "" {
		m = m.String(16, nodes[0].StorageID)
		for _, r := range nodes[1:] {
			m = m.String(17, r.StorageID)
		}
	}
	return m
}
