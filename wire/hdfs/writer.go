package hdfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Flags of create and append (CreateFlagProto).
const (
	flagCreate          = 0x01
	flagOverwrite       = 0x02
	flagAppend          = 0x04
	flagNewBlock        = 0x20
	flagShouldReplicate = 0x80
)

// CreateOptions say how a file is made.
type CreateOptions struct {
	// Overwrite replaces a file that is there; without it that is ErrExists. The old file is gone at once, and not when the new one is complete:
	// write beside and Replace when readers must not see that.
	Overwrite bool
	// Parents makes the folders above that are missing.
	Parents bool
	// Mode holds the nine bits; 0 is 0644.
	Mode uint16
	// Replication and BlockSize are the server's defaults when 0. The block size is a multiple of 512.
	Replication int
	BlockSize   int64
}

// FileWriter writes one file. It is used by one goroutine, and is over after Close or Abort.
//
// A DataNode that fails is left out: what it had is written anew, or the others go on under a new generation of the block (HDFS-1057).
// An error means that the file could not be written; it then stays unfinished until Abort removes it.
type FileWriter struct {
	client *Client
	ctx    context.Context
	stop   context.CancelFunc
	path   string
	id     uint64
	limit  int64
	// owner and group are those that the NameNode gave the file.
	owner, group string
	// appended says that the file was there before.
	appended bool

	block    *blockWriter
	previous proto.Message
	// ended are the blocks that are closed, the last of them at closed.
	ended  []Block
	closed time.Time
	frame  *packet.Frame
	// tail is how much of the frame was sent before: a chunk that a flush cut short is sent again as a whole.
	tail     int
	excluded []*DataNode

	sum        uint32
	length     int64
	recoveries int
	unreplaced error
	err        error
	// finished says that all blocks are closed, over that the writer was closed or aborted, whole that it was closed without an error.
	finished, over, whole bool
}

// Written is what a writer wrote.
type Written struct {
	// CRC32C is the checksum of what was written, and Length how many bytes that is; of a file that was appended to, only of what was added.
	CRC32C uint32
	Length int64
	// Recoveries counts the DataNodes that failed on the way.
	Recoveries int
	// Unreplaced is why no other DataNode took the place of a lost one where Options.ReplaceDatanode asks for it; nil when all was well.
	Unreplaced error
}

// Create makes a file and opens it for writing. The file is replicated, also in folders whose files become erasure-coded.
// The end of ctx ends the writer. ErrExists, ErrPermission, ErrQuota; ErrEncrypted in an encryption zone.
func (c *Client) Create(ctx context.Context, name string, opts CreateOptions) (*FileWriter, error) {
	if opts.Mode == 0 {
		opts.Mode = 0o644
	}
	if opts.Replication == 0 {
		opts.Replication = c.defaults.Replication
	}
	if opts.BlockSize == 0 {
		opts.BlockSize = c.defaults.BlockSize
	}
	if opts.BlockSize%chunk != 0 {
		return nil, &Error{Op: "create", Path: name, Err: fmt.Errorf("block size %d is no multiple of %d", opts.BlockSize, chunk)}
	}
	flags := uint64(flagCreate | flagShouldReplicate)
	if opts.Overwrite {
		flags |= flagOverwrite
	}
	mode := encodeMode(opts.Mode)
	// No version of encryption is offered: so the server refuses in a zone before anything is made.
	request := proto.Message(nil).String(1, name).Bytes(2, mode).String(3, c.name).Uint(4, flags).Bool(5, opts.Parents).
		Uint(6, uint64(opts.Replication)).Int(7, opts.BlockSize).Bytes(9, mode)
	c.hold()
	f, err := ask(ctx, c, "create", name, request, field(newPlaces().fileInfo))
	if err != nil || f == nil {
		c.release()
		if err == nil {
			err = &Error{Op: "create", Path: name, Err: ErrProtocol}
		}
		return nil, err
	}
	w := c.newWriter(ctx, name, f, opts.BlockSize)
	if f.ErasureCoding != nil {
		// A server that does not know the flag for plain files; its striped layout is not ours to write.
		err := &Error{Op: "create", Path: name, Err: ErrStriped}
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// newWriter makes a writer for a file that was opened at the NameNode.
func (c *Client) newWriter(ctx context.Context, name string, f *FileInfo, blockSize int64) *FileWriter {
	ctx, stop := context.WithCancel(ctx)
	return &FileWriter{client: c, ctx: ctx, stop: stop, path: name, id: f.ID, limit: blockSize, owner: f.Owner, group: f.Group}
}

// AppendOptions say how a file is extended.
type AppendOptions struct {
	// NewBlock begins a new block, and leaves the last one as short as it is (HDFS-3689).
	NewBlock bool
}

// Append opens a file for writing at its end. ErrLease when somebody else writes it; ErrStriped for erasure-coded files.
func (c *Client) Append(ctx context.Context, name string, opts AppendOptions) (*FileWriter, error) {
	flags := uint64(flagAppend)
	if opts.NewBlock {
		flags |= flagNewBlock
	}
	c.hold()
	a, err := ask(ctx, c, "append", name, proto.Message(nil).String(1, name).String(2, c.name).Uint(3, flags), readAppend)
	if err == nil && a.file == nil {
		err = &Error{Op: "append", Path: name, Err: ErrProtocol}
	}
	if err != nil {
		c.release()
		return nil, err
	}
	w := c.newWriter(ctx, name, a.file, a.file.BlockSize)
	w.appended = true
	if err := w.resume(a, opts.NewBlock); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// resume goes on in the last block of a file, or behind it.
func (w *FileWriter) resume(a appendAnswer, newBlock bool) error {
	if a.file.ErasureCoding != nil || a.file.Encrypted {
		return &Error{Op: "append", Path: w.path, Err: map[bool]error{true: ErrEncrypted, false: ErrStriped}[a.file.Encrypted]}
	}
	if a.block == nil {
		return nil
	}
	if newBlock {
		w.previous = a.block.encode(a.block.Generation, a.block.Length)
		return nil
	}
	b := newBlockWriter(w, a.block, stageAppend, a.block.Length)
	b.flushed = true
	w.block = b
	if err := w.reconnect(b, stageAppend); err != nil {
		return w.failed(w.recover(err))
	}
	return nil
}

// appendAnswer is AppendResponseProto.
type appendAnswer struct {
	block *Block
	file  *FileInfo
}

func readAppend(d *proto.Decoder) appendAnswer {
	var a appendAnswer
	p := newPlaces()
	for d.Next() {
		switch d.Number() {
		case 1:
			b := proto.Sub(d, p.block)
			a.block = &b
		case 2:
			f := proto.Sub(d, p.fileInfo)
			a.file = &f
		}
	}
	return a
}

// usable says why the writer takes nothing more.
func (w *FileWriter) usable() error {
	if w.err == nil && (w.over || w.finished) {
		return &Error{Op: "write", Path: w.path, Err: ErrClosed}
	}
	return w.err
}

// failed notes what ended the writer.
func (w *FileWriter) failed(err error) error {
	if err != nil && w.err == nil {
		w.err = &Error{Op: "write", Path: w.path, Err: err}
	}
	return w.err
}

// Write appends bytes. They are buffered up to a packet; Flush and Close send the rest.
func (w *FileWriter) Write(p []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) {
		if w.frame == nil {
			w.frame = w.empty()
			w.frame.Reset(chunk)
		}
		took := w.frame.Fill(p[n:], int(w.room()))
		n += took
		if int64(len(w.frame.Data())) < w.room() && w.frame.Free() > 0 {
			continue
		}
		if err := w.ship(false); err != nil {
			return n, w.failed(err)
		}
	}
	w.length += int64(n)
	return n, nil
}

// room is how much data the next packet may hold: not beyond the block, and only the rest of a chunk that an append begins in.
func (w *FileWriter) room() int64 {
	at := w.at()
	if rest := at % chunk; rest != 0 {
		return min(chunk-rest, w.limit-at)
	}
	if at >= wideFrom {
		return min(wideData, w.limit-at)
	}
	return min(packetData, w.limit-at)
}

// at is where the next packet begins in its block.
func (w *FileWriter) at() int64 {
	if w.block == nil {
		return 0
	}
	return w.block.at
}

// empty gives a buffer for the next packet.
func (w *FileWriter) empty() *packet.Frame {
	if w.at() >= wideFrom {
		return w.client.data.wideFrame()
	}
	return w.client.data.frame()
}

// WritePacket appends a packet of a reader, be it of this client or of another one, and takes its buffer over: the packet is released.
// Where it fits into the block, its data goes on in the very buffer and with the very checksums it came with, so that it is protected
// from the one DataNode to the other; otherwise it is copied.
func (w *FileWriter) WritePacket(p *Packet) error {
	if err := w.usable(); err != nil {
		return err
	}
	if w.frame != nil && w.tail == 0 && len(w.frame.Data())%chunk == 0 {
		// What is buffered ends with a chunk: it need not hold up what can go on as it is.
		if err := w.failed(w.ship(false)); err != nil {
			return err
		}
	}
	size := len(p.Data())
	fits := p.whole && size%chunk == 0 && w.frame == nil && size > 0
	if fits && w.block != nil {
		fits = w.block.at%chunk == 0 && w.block.at+int64(size) <= w.limit
	}
	if !fits || int64(size) > w.limit {
		defer p.Release()
		_, err := w.Write(p.Data())
		return err
	}
	w.sum = crc.Combine(w.sum, p.sum, int64(size))
	w.length += int64(size)
	f := p.frame
	p.frame = nil
	return w.failed(w.put(f, p.owner, false))
}

// ship sends what is buffered; with sync it is forced to disk.
func (w *FileWriter) ship(sync bool) error {
	f := w.frame
	if sync && f == nil && w.block != nil {
		// A packet without data carries the wish.
		f = w.client.data.frame()
		f.Reset(chunk)
	}
	if f == nil || len(f.Data()) == w.tail && !sync {
		return nil
	}
	w.frame, w.tail = nil, 0
	size := len(f.Data())
	sum := f.Sum(w.client.joiner)
	w.sum = crc.Combine(w.sum, sum, int64(size))
	return w.put(f, w.client.data, sync)
}

// put hands a packet to the current block, and ends the block when it is full.
func (w *FileWriter) put(f *packet.Frame, owner *dataNodes, sync bool) error {
	if w.block == nil {
		if err := w.addBlock(); err != nil {
			owner.release(f)
			return err
		}
	}
	w.block.push(f, owner, false, sync)
	if err := w.drive(false); err != nil {
		return err
	}
	if w.block.at >= w.limit {
		return w.endBlock()
	}
	return nil
}

// drive sends what is queued, and mends the chain as often as it breaks.
func (w *FileWriter) drive(all bool) error {
	for {
		err := w.block.pump(all)
		if err == nil {
			return nil
		}
		if err := w.recover(err); err != nil {
			return err
		}
	}
}

// endBlock waits until every DataNode has the block, and closes it.
func (w *FileWriter) endBlock() error {
	b := w.block
	b.mu.Lock()
	whole := b.whole
	b.at = b.high
	b.mu.Unlock()
	if !whole || b.flushed {
		// How a chain is mended depends on whether its block may be closed anywhere already: so the end is not sent before all else is there.
		if err := w.drive(true); err != nil {
			return err
		}
	}
	last := w.client.data.frame()
	last.Reset(chunk)
	b.push(last, w.client.data, true, false)
	if err := w.drive(true); err != nil {
		return err
	}
	// It may have been written anew as another block.
	b, w.block = w.block, nil
	w.previous = b.block.encode(b.block.Generation, b.high)
	w.note(b)
	b.halt()
	b.dispose()
	return nil
}

// note remembers a block that is closed. Its token lets write and not read, so it is left out.
func (w *FileWriter) note(b *blockWriter) {
	done := Block{Pool: b.block.Pool, ID: b.block.ID, Generation: b.block.Generation, Length: b.high, Replicas: b.block.Replicas}
	if n := len(w.ended); n > 0 {
		done.Offset = w.ended[n-1].Offset + w.ended[n-1].Length
	}
	w.ended, w.closed = append(w.ended, done), time.Now()
}

// dispose gives back what is still held.
func (b *blockWriter) dispose() {
	for i := range b.queue {
		b.queue[i].release()
	}
	b.queue = nil
}

// Flush sends what is buffered and waits until every DataNode has it: readers that open the file from now on see it.
func (w *FileWriter) Flush() error { return w.flush(false) }

// Sync is Flush, and forces the data to the disks of the DataNodes.
func (w *FileWriter) Sync() error { return w.flush(true) }

// flush sends what is buffered, and keeps a chunk that is cut short, to send it again with what follows.
func (w *FileWriter) flush(sync bool) error {
	if err := w.usable(); err != nil {
		return err
	}
	tail, before, begin := w.cut()
	if err := w.ship(sync); err != nil {
		return w.failed(err)
	}
	if w.block == nil {
		return nil
	}
	if err := w.drive(true); err != nil {
		return w.failed(err)
	}
	b := w.block
	if !b.flushed {
		// The NameNode learns of the block only now; a reader would not find it otherwise.
		b.flushed = true
		err := w.client.do(w.ctx, "fsync", w.path, proto.Message(nil).String(1, w.path).String(2, w.client.name).Sint(3, b.high).Uint(4, w.id))
		if err != nil {
			return w.failed(err)
		}
	}
	if len(tail) > 0 {
		w.sum = before
		b.mu.Lock()
		b.at = begin
		b.mu.Unlock()
		w.frame = w.empty()
		w.frame.Reset(chunk)
		w.tail = w.frame.Fill(tail, len(tail))
	}
	return nil
}

// cut gives the bytes of the chunk that a flush cuts short, the sum of all before them, and where they begin in the block.
func (w *FileWriter) cut() (tail []byte, before uint32, begin int64) {
	if w.frame == nil {
		return nil, 0, 0
	}
	data := w.frame.Data()
	at := w.at()
	short := int((at + int64(len(data))) % chunk)
	if short == 0 || short > len(data) {
		return nil, 0, 0
	}
	whole := data[:len(data)-short]
	return append([]byte(nil), data[len(whole):]...), crc.Combine(w.sum, crc.Sum(whole), int64(len(whole))), at + int64(len(whole))
}

// Written gives the checksum and the length of what was written so far, the buffered rest included.
func (w *FileWriter) Written() Written {
	sum := w.sum
	if w.frame != nil {
		sum = crc.Combine(sum, crc.Sum(w.frame.Data()), int64(len(w.frame.Data())))
	}
	return Written{CRC32C: sum, Length: w.length, Recoveries: w.recoveries, Unreplaced: w.unreplaced}
}

// Path is the path that is written.
func (w *FileWriter) Path() string { return w.path }

// Blocks gives where the data of a file lies that was made by Create and closed without an error, as its writer saw it: ChecksumOf then
// needs no call to the NameNode. nil in every other case.
func (w *FileWriter) Blocks() *Blocks {
	if !w.whole || w.appended {
		return nil
	}
	return w.located()
}

// located gives the blocks that are closed.
func (w *FileWriter) located() *Blocks {
	b := &Blocks{List: w.ended}
	for _, block := range w.ended {
		b.Length += block.Length
	}
	return b
}

// Owner gives owner and group of the file as they were when it was opened for writing.
func (w *FileWriter) Owner() (owner, group string) { return w.owner, w.group }

// ID is the number of the inode.
func (w *FileWriter) ID() uint64 { return w.id }

// Finish sends the rest, and waits until every DataNode has closed the last block. Nothing more can be written then, and the file is whole only
// after Close. Who asks the DataNodes for the Sum in between gives them the time that they need to tell the NameNode of the block.
func (w *FileWriter) Finish() error {
	if w.finished {
		return w.err
	}
	if err := w.usable(); err != nil {
		return err
	}
	err := w.ship(false)
	if err == nil && w.block != nil {
		err = w.endBlock()
	}
	w.finished = err == nil
	return w.failed(err)
}

// Sum asks the DataNodes for the checksum of a file that was made by Create, between Finish and Close. ErrUnsupported where blocks need tokens,
// since those of a writer do not let it read, and as Client.Checksum has it.
func (w *FileWriter) Sum() (FileSum, error) {
	if !w.finished || w.appended || w.client.login != nil {
		return FileSum{}, &Error{Op: "checksum", Path: w.path, Err: ErrUnsupported}
	}
	return w.client.ChecksumOf(w.ctx, w.path, w.located())
}

// Close sends the rest, and completes the file at the NameNode. Only after it returns nil is the file whole.
// After an error the file is unfinished; Abort removes it.
func (w *FileWriter) Close() error {
	if w.over && w.err == nil {
		return &Error{Op: "write", Path: w.path, Err: ErrClosed}
	}
	if err := w.Finish(); err != nil {
		return err
	}
	written := w.Written()
	if err := w.failed(w.complete()); err != nil {
		return err
	}
	w.sum, w.whole = written.CRC32C, true
	w.end()
	return nil
}

// end gives up what the writer holds.
func (w *FileWriter) end() {
	if w.over {
		return
	}
	w.over = true
	w.stop()
	if w.block != nil {
		w.block.halt()
		w.block.dispose()
		w.block = nil
	}
	if w.frame != nil {
		w.client.data.release(w.frame)
		w.frame = nil
	}
	w.client.release()
}

// Abandon gives the file up and asks the NameNode for nothing: what was written stays where it is, unfinished.
func (w *FileWriter) Abandon() { w.end() }

// Abort gives the file up, and removes it when it was made by Create. After Close it does nothing.
func (w *FileWriter) Abort() error {
	if w.over {
		return nil
	}
	w.end()
	// The context of the writer may be over: that must not leave half a file behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), w.client.opts.CallTimeout)
	defer cancel()
	if w.appended {
		_, err := w.client.RecoverLease(ctx, w.path)
		return err
	}
	f, err := w.client.Stat(ctx, w.path)
	if IsNotFound(err) || err == nil && f.ID != w.id {
		return nil
	}
	if err != nil {
		return err
	}
	return w.client.Delete(ctx, w.path, false)
}
