package hdfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// maxRecoveries is how often one block is mended at most. Every time loses at least one DataNode or tries one again, so this ends.
const maxRecoveries = 12

// firstBreath is how long a writer waits before it goes back to DataNodes that failed; each further time twice as long, up to lastBreath. With few
// DataNodes all pauses together are longer than a heartbeat (dfs.heartbeat.interval, 3 s).
const (
	firstBreath = 500 * time.Millisecond
	lastBreath  = 2 * time.Second
)

// addBlock asks for a new block and sets up its chain, leaving out DataNodes that cannot be reached.
func (w *FileWriter) addBlock() error {
	var failed []error
	pause := firstBreath
	for range maxRecoveries {
		b, err := w.allocate()
		var refused *RemoteError
		if len(w.excluded) > 0 && errors.As(err, &refused) && refused.is("IOException") {
			// Without those that failed before there is nobody left: they may be back, or the NameNode may know by the next heartbeat what they lack.
			failed, w.excluded = append(failed, err), nil
			if err := sleep(w.ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, lastBreath)
			continue
		}
		if len(w.excluded) == 0 && untaken(err) {
			err = fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		if err != nil {
			return errors.Join(append([]error{err}, failed...)...)
		}
		bw := newBlockWriter(w, b, stageCreate, 0)
		if err = w.reconnectNew(bw); err == nil {
			w.block = bw
			return nil
		}
		failed = append(failed, err)
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
	}
	return fmt.Errorf("%w: %w", ErrPipeline, errors.Join(failed...))
}

// untaken says that of all DataNodes that run, none takes a block. Where the writer left none out, they have no room; the NameNode's answer is
// the same where it did, and names those that it ruled out itself among those that were left out.
func untaken(err error) bool {
	var refused *RemoteError
	return errors.As(err, &refused) && refused.is("IOException") && strings.Contains(refused.Message, "could only be written to 0 of") &&
		!strings.Contains(refused.Message, "There are 0 datanode(s)")
}

// allocate asks for a new block. What the NameNode refuses for a moment only is asked for again.
func (w *FileWriter) allocate() (*Block, error) {
	request := proto.Message(nil).String(1, w.path).String(2, w.client.name)
	if w.previous != nil {
		request = request.Bytes(3, w.previous)
	}
	for _, d := range w.excluded {
		request = request.Bytes(4, d.encode())
	}
	request = request.Uint(5, w.id)
	began := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		b, err := ask(w.ctx, w.client, "addBlock", w.path, request, field(newPlaces().block))
		if err == nil && (b == nil || len(b.Replicas) == 0) {
			err = fmt.Errorf("%w: a block without DataNodes", ErrProtocol)
		}
		if err == nil || time.Since(began) >= w.patience(err) {
			return b, err
		}
		if stopped := sleep(w.ctx, pause); stopped != nil {
			return nil, errors.Join(stopped, err)
		}
	}
}

// patience is how long a refusal of a new block is not taken as final. The block before may not be reported yet, which passes for sure;
// that there is no DataNode to write to passes when the NameNode has just started, and DataNodes have not all told it what room they have.
func (w *FileWriter) patience(err error) time.Duration {
	var refused *RemoteError
	switch {
	case !errors.As(err, &refused):
		return 0
	case refused.is("NotReplicatedYetException"):
		return w.client.opts.CallTimeout
	case refused.is("IOException") && strings.Contains(refused.Message, "could only be written to 0 of") && len(w.excluded) == 0:
		return w.client.opts.RetryFor / 3
	}
	return 0
}

// reconnectNew sets up the chain of a new block. When that fails the block is given back, and the DataNode to blame is left out from now on.
func (w *FileWriter) reconnectNew(b *blockWriter) error {
	conn, place, err := b.connect(stageCreate, 0, b.block.token)
	if err == nil {
		b.run(conn)
		return nil
	}
	err = fmt.Errorf("DataNode %s: %w", b.name(place), err)
	if w.ctx.Err() != nil {
		return err
	}
	w.leaveOut(b.block.Replicas[place].Node)
	return errors.Join(err, w.abandon(b))
}

// leaveOut keeps a DataNode from being chosen for further blocks of this file.
func (w *FileWriter) leaveOut(d *DataNode) {
	w.recoveries++
	if !slices.ContainsFunc(w.excluded, func(e *DataNode) bool { return e.UUID == d.UUID }) {
		w.excluded = append(w.excluded, d)
	}
}

// abandon gives a block back that nobody has seen.
func (w *FileWriter) abandon(b *blockWriter) error {
	return w.client.do(w.ctx, "abandonBlock", w.path, proto.Message(nil).
		Bytes(1, b.block.encode(b.block.Generation, 0)).String(2, w.path).String(3, w.client.name).Uint(4, w.id))
}

// recover goes on after the chain of the current block broke. A block that is held as a whole, and that no reader has seen, is written anew
// elsewhere; of a longer one the DataNodes that are left take a new generation, which the lost one can no longer join.
func (w *FileWriter) recover(cause error) error {
	b := w.block
	b.halt()
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if b.bad < 0 {
		return cause
	}
	if b.damaged() {
		return fmt.Errorf("%w in our own memory, before it was sent: %w", ErrChecksum, cause)
	}
	w.leaveOut(b.block.Replicas[b.bad].Node)
	b.mu.Lock()
	whole := b.whole
	b.mu.Unlock()
	if whole && !b.flushed {
		return w.rewrite(b, cause)
	}
	failed := []error{cause}
	for range maxRecoveries {
		if !b.drop() {
			break
		}
		err := w.reconnect(b, b.recoveryStage())
		if err == nil {
			return nil
		}
		failed = append(failed, err)
		if w.ctx.Err() != nil || b.bad < 0 {
			break
		}
		w.leaveOut(b.block.Replicas[b.bad].Node)
	}
	return fmt.Errorf("%w: %w", ErrPipeline, errors.Join(failed...))
}

// damaged says that a packet which is not everywhere yet differs from the checksums it goes with: then no DataNode takes it, and none is to blame.
func (b *blockWriter) damaged() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	joiner := b.file.client.joiner
	return slices.ContainsFunc(b.queue[b.acked:], func(s sentPacket) bool {
		_, err := s.frame.Check(packet.CRC32C, joiner, chunk)
		return err != nil
	})
}

// rewrite writes the current block anew as another one.
func (w *FileWriter) rewrite(b *blockWriter, cause error) error {
	if w.recoveries > maxRecoveries {
		return fmt.Errorf("%w: %w", ErrPipeline, cause)
	}
	if err := w.abandon(b); err != nil {
		return errors.Join(err, cause)
	}
	w.block = nil
	if err := w.addBlock(); err != nil {
		b.dispose()
		return errors.Join(err, cause)
	}
	fresh := w.block
	fresh.mu.Lock()
	defer fresh.mu.Unlock()
	fresh.queue, fresh.at, fresh.high, fresh.seq = b.queue, b.at, b.high, b.seq
	fresh.closing, fresh.whole = b.closing, true
	return nil
}

// drop leaves the DataNode that broke the chain out of it, and says whether any is left.
func (b *blockWriter) drop() bool {
	b.block.Replicas = slices.Delete(slices.Clone(b.block.Replicas), b.bad, b.bad+1)
	return len(b.block.Replicas) > 0
}

// recoveryStage is the stage in which the chain is set up again.
func (b *blockWriter) recoveryStage() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	onlyEnd := b.closing && len(b.queue)-b.acked <= 1
	switch {
	case onlyEnd:
		return stageCloseRecovery
	case b.stage == stageAppend && b.high == b.durable && len(b.queue) == 0:
		return stageAppendRecovery
	}
	return stageStreamingRecovery
}

// reconnect sets up the chain of a block that has data: it gets a new generation, and the NameNode learns who holds it.
// A failure that is no DataNode's leaves the place that broke the chain at -1.
func (w *FileWriter) reconnect(b *blockWriter, stage uint64) error {
	b.bad = -1
	if stage != stageAppend {
		w.replace(b)
	}
	old := b.block.encode(b.block.Generation, b.block.Length)
	fresh, err := ask(w.ctx, w.client, "updateBlockForPipeline", w.path,
		proto.Message(nil).Bytes(1, old).String(2, w.client.name), field(newPlaces().block))
	if err == nil && fresh == nil {
		err = ErrProtocol
	}
	if err != nil {
		return err
	}
	conn, place, err := b.connect(stage, fresh.Generation, fresh.token)
	if err != nil {
		b.bad = place
		return fmt.Errorf("DataNode %s: %w", b.name(place), err)
	}
	if err := w.updatePipeline(b, fresh.Generation); err != nil {
		conn.close()
		return err
	}
	b.block.Generation, b.block.token = fresh.Generation, fresh.token
	b.resume(stage)
	if stage == stageCloseRecovery {
		conn.close()
		return nil
	}
	b.run(conn)
	return nil
}

// resume has everything sent again that is not everywhere. After a recovery of the end nothing is: the DataNodes closed the block by it.
func (b *blockWriter) resume(stage uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stage, b.err = stage, nil
	b.next = b.acked
	if stage == stageCloseRecovery {
		b.acked, b.next = len(b.queue), len(b.queue)
	}
}

// updatePipeline tells the NameNode the new generation of the block and who writes it.
func (w *FileWriter) updatePipeline(b *blockWriter, generation uint64) error {
	b.mu.Lock()
	durable := b.durable
	b.mu.Unlock()
	m := proto.Message(nil).String(1, w.client.name).
		Bytes(2, b.block.encode(b.block.Generation, durable)).Bytes(3, b.block.encode(generation, durable))
	for _, r := range b.block.Replicas {
		m = m.Bytes(4, r.Node.encodeID())
	}
	for _, r := range b.block.Replicas {
		m = m.String(5, r.StorageID)
	}
	return w.client.do(w.ctx, "updatePipeline", w.path, m)
}

// replace looks for another DataNode in place of lost ones, where that is wanted: of a chain that began with three or more, half or fewer are left.
// Without one the chain goes on with those that are left, and Written says why; the NameNode has the missing copies made after the file is closed.
func (w *FileWriter) replace(b *blockWriter) {
	if !w.client.opts.ReplaceDatanode || b.began < 3 || len(b.block.Replicas) > b.began/2 {
		return
	}
	found, err := w.additional(b)
	if err != nil {
		w.unreplaced = err
		return
	}
	for _, r := range found.Replicas {
		if slices.ContainsFunc(b.block.Replicas, func(k Replica) bool { return k.Node.UUID == r.Node.UUID }) {
			continue
		}
		if err := w.transfer(b, r, found.token); err != nil {
			w.unreplaced = fmt.Errorf("DataNode %s: %w", w.client.data.address(r.Node), err)
			continue
		}
		b.block.Replicas, w.unreplaced = append(b.block.Replicas, r), nil
	}
}

// additional asks the NameNode for one more DataNode; it answers with those that are left and the new one.
func (w *FileWriter) additional(b *blockWriter) (*Block, error) {
	m := proto.Message(nil).String(1, w.path).Bytes(2, b.block.encode(b.block.Generation, b.durable))
	for _, r := range b.block.Replicas {
		m = m.Bytes(3, r.Node.encode())
	}
	for _, d := range w.excluded {
		m = m.Bytes(4, d.encode())
	}
	m = m.Uint(5, 1).String(6, w.client.name)
	for _, r := range b.block.Replicas {
		m = m.String(7, r.StorageID)
	}
	found, err := ask(w.ctx, w.client, "getAdditionalDatanode", w.path, m.Uint(8, w.id), field(newPlaces().block))
	if err == nil && found == nil {
		err = ErrProtocol
	}
	return found, err
}

// transfer has a DataNode of the chain copy what it has of the block to a new one.
func (w *FileWriter) transfer(b *blockWriter, to Replica, t token) error {
	conn, err := w.client.data.dial(w.ctx, b.block.Replicas[0].Node, t)
	if err != nil {
		return err
	}
	defer conn.close()
	m := proto.Message(nil).Bytes(1, w.client.operationHeader(b.block.encode(b.block.Generation, b.durable), t)).
		Bytes(2, to.Node.encode()).Uint(3, uint64(to.StorageType)).String(4, to.StorageID)
	if err := conn.start(opTransferBlock, m); err != nil {
		return err
	}
	_, err = conn.reply("transfer")
	return err
}
