package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// BadReplica is a replica that could not be read, and why.
type BadReplica struct {
	// Path, Block and Pool name the block, Generation its version.
	Path       string
	Block      uint64
	Pool       string
	Generation uint64
	Node       *DataNode
	// StorageID names the volume.
	StorageID string
	// Corrupt says that the data differs from its checksums; otherwise the replica could not be reached, or is not there.
	Corrupt bool
	Err     error
}

// FileReader reads one file, checks every byte against its checksum, and goes on at another replica when one fails.
// It is used by one goroutine, ReadAt excepted. It must be closed.
type FileReader struct {
	client *Client
	ctx    context.Context
	stop   context.CancelFunc
	path   string

	pos    int64
	source source
	// held is a packet of which Read has given only a part so far: used bytes.
	held *Packet
	used int

	mu     sync.Mutex
	blocks *Blocks
	bad    []BadReplica
	// refreshed is where the locations were asked for again; not twice at one place.
	refreshed int64
}

// source is where the packets of one block come from.
type source interface {
	// next gives the next packet, with its offset in the file; io.EOF at the end of the block.
	next() (*Packet, error)
	// finish ends it.
	finish()
}

// Open begins to read a file. The end of ctx, or Close, ends all reading.
// ErrNotFound, ErrEncrypted; a file that is still written gives what was complete when it was opened.
func (c *Client) Open(ctx context.Context, name string) (*FileReader, error) {
	b, err := c.Locate(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, name, b)
}

// OpenInfo begins to read a file whose blocks are known, as from a listing with locations: that saves a call.
// Where blocks need tokens, or the blocks are missing, it asks for them.
func (c *Client) OpenInfo(ctx context.Context, f *FileInfo) (*FileReader, error) {
	if f.Blocks == nil || c.login != nil && len(f.Blocks.List) > 0 && len(f.Blocks.List[0].token.identifier) == 0 {
		return c.Open(ctx, f.Path)
	}
	return c.open(ctx, f.Path, f.Blocks)
}

// open makes the reader.
func (c *Client) open(ctx context.Context, name string, b *Blocks) (*FileReader, error) {
	if b.Encrypted {
		return nil, &Error{Op: "open", Path: name, Err: ErrEncrypted}
	}
	ctx, stop := context.WithCancel(ctx)
	return &FileReader{client: c, ctx: ctx, stop: stop, path: name, blocks: b, refreshed: -1}, nil
}

// Size is the length of the file in bytes.
func (r *FileReader) Size() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocks.Length
}

// UnderConstruction says that the file was being written when its blocks were asked for.
func (r *FileReader) UnderConstruction() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocks.UnderConstruction
}

// BadReplicas gives the replicas that failed so far. Client.ReportBad tells the NameNode of the corrupt ones.
func (r *FileReader) BadReplicas() []BadReplica {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]BadReplica(nil), r.bad...)
}

// Next gives the next piece of the file from the current position on, without copying it; io.EOF at the end. The caller releases it.
// ErrNoReplica when no replica of a block is left, with what each one failed with.
func (r *FileReader) Next() (*Packet, error) {
	if p := r.held; p != nil {
		p.trim(r.used, len(p.Data()))
		r.held = nil
		return p, nil
	}
	for {
		if r.pos >= r.Size() {
			r.drop()
			return nil, io.EOF
		}
		if err := context.Cause(r.ctx); err != nil {
			return nil, r.failure(err)
		}
		if r.source == nil {
			s, err := r.openAt(r.pos, 0)
			if err != nil {
				return nil, r.failure(err)
			}
			r.source = s
		}
		p, err := r.source.next()
		if errors.Is(err, io.EOF) {
			r.drop()
			continue
		}
		if err == nil {
			r.pos = p.Offset + int64(len(p.Data()))
			return p, nil
		}
		r.drop()
	}
}

// NextWithin is Next for at most so many bytes, at least one: of a longer piece the beginning is copied, and the rest comes with the next call.
func (r *FileReader) NextWithin(most int64) (*Packet, error) {
	p, err := r.Next()
	if err != nil || int64(len(p.Data())) <= most {
		return p, err
	}
	head := &Packet{Offset: p.Offset, frame: r.client.data.frame(), owner: r.client.data}
	head.frame.Reset(chunk)
	n := head.frame.Fill(p.Data()[:most], int(most))
	head.sum = crc.Sum(head.Data())
	r.held, r.used = p, n
	return head, nil
}

// failure gives an error its place.
func (r *FileReader) failure(err error) error {
	return &Error{Op: "read", Path: r.path, Err: err}
}

// drop ends the current source.
func (r *FileReader) drop() {
	if r.source != nil {
		r.source.finish()
		r.source = nil
	}
}

// openAt opens a source that begins at a position of the file and ends with its block, or earlier when limit is not 0.
func (r *FileReader) openAt(pos, limit int64) (source, error) {
	for {
		b, policy, err := r.blockAt(pos)
		if err != nil {
			return nil, err
		}
		end := b.Length
		if limit > 0 {
			end = min(end, limit-b.Offset)
		}
		var s source
		if policy != nil {
			s, err = r.openGroup(b, policy, pos-b.Offset, end)
		} else {
			s, err = r.openReplica(b, pos-b.Offset, end)
		}
		if err == nil || r.ctx.Err() != nil {
			return s, err
		}
		if again := r.refresh(pos); again != nil {
			return nil, errors.Join(err, again)
		}
	}
}

// blockAt finds the block of a position.
func (r *FileReader) blockAt(pos int64) (*Block, *ErasurePolicy, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.blocks.List {
		b := &r.blocks.List[i]
		if pos >= b.Offset && pos < b.Offset+b.Length {
			return b, r.blocks.ErasureCoding, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: no block holds byte %d of %d", ErrNoReplica, pos, r.blocks.Length)
}

// errAgain says that asking for the locations again did not help.
var errAgain = errors.New("asked the NameNode again for the locations at this place already")

// errReplaced keeps a reader from going on in the middle of another file of the same name.
var errReplaced = errors.New("another file has this name now")

// refresh asks for the locations again, once for a place: blocks move, tokens expire, DataNodes come back.
func (r *FileReader) refresh(pos int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refreshed == pos {
		return errAgain
	}
	r.refreshed = pos
	b, err := r.client.Locate(r.ctx, r.path, 0, -1)
	if err != nil {
		return err
	}
	if b.Length < r.blocks.Length {
		return fmt.Errorf("the file has %d bytes now and had %d when it was opened", b.Length, r.blocks.Length)
	}
	for i, was := range r.blocks.List {
		if i >= len(b.List) || b.List[i].ID != was.ID {
			return errReplaced
		}
	}
	b.Length = r.blocks.Length
	r.blocks = b
	return nil
}

// openReplica opens the first replica that has not failed.
func (r *FileReader) openReplica(b *Block, from, end int64) (source, error) {
	var failed []error
	for _, replica := range b.Replicas {
		if err := r.failedWith(b, replica); err != nil {
			failed = append(failed, err)
			continue
		}
		s, err := r.client.openStream(r.ctx, part{
			node: replica.Node, block: b.encode(b.Generation, b.Length), token: b.token, from: from, end: end,
		})
		if err == nil {
			return &replicaSource{reader: r, block: b, replica: replica, stream: s}, nil
		}
		if r.ctx.Err() != nil {
			return nil, context.Cause(r.ctx)
		}
		failed = append(failed, r.blame(b, replica, err))
	}
	return nil, fmt.Errorf("%w of block %d: %w", ErrNoReplica, b.ID, errors.Join(failed...))
}

// maxTries is how often a replica is tried at most; more than once only after the locations were asked for again.
const maxTries = 3

// failedWith gives why a replica is not to be tried; nil when it may be.
func (r *FileReader) failedWith(b *Block, replica Replica) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tries := 0
	var last error
	for _, bad := range r.bad {
		if bad.Block != b.ID || bad.Node.UUID != replica.Node.UUID {
			continue
		}
		if tries, last = tries+1, bad.Err; bad.Corrupt {
			tries = maxTries
		}
	}
	if tries >= maxTries || tries > 0 && r.refreshed < b.Offset {
		return last
	}
	return nil
}

// blame remembers a failed replica. An expired token is not its fault.
func (r *FileReader) blame(b *Block, replica Replica, err error) error {
	err = fmt.Errorf("DataNode %s: %w", r.client.data.address(replica.Node), err)
	var refused *dataError
	if errors.As(err, &refused) && refused.status == statusAccessToken {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = append(r.bad, BadReplica{
		Path: r.path, Block: b.ID, Pool: b.Pool, Generation: b.Generation, Node: replica.Node, StorageID: replica.StorageID,
		Corrupt: errors.Is(err, ErrChecksum), Err: err,
	})
	return err
}

// replicaSource reads one replica of a block.
type replicaSource struct {
	reader  *FileReader
	block   *Block
	replica Replica
	stream  *stream
}

// next gives the next packet; a failure is put down to the replica.
func (s *replicaSource) next() (*Packet, error) {
	p, err := s.stream.next()
	if err == nil {
		p.Offset += s.block.Offset
		return p, nil
	}
	if !errors.Is(err, io.EOF) && s.reader.ctx.Err() == nil {
		err = s.reader.blame(s.block, s.replica, err)
	}
	return nil, err
}

// finish ends the stream.
func (s *replicaSource) finish() { s.stream.finish() }

// Read reads into b from the current position on.
func (r *FileReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if r.held == nil {
		p, err := r.Next()
		if err != nil {
			return 0, err
		}
		r.held, r.used = p, 0
	}
	n := copy(b, r.held.Data()[r.used:])
	if r.used += n; r.used == len(r.held.Data()) {
		r.held.Release()
		r.held = nil
	}
	return n, nil
}

// WriteTo sends the rest of the file to w.
func (r *FileReader) WriteTo(w io.Writer) (int64, error) {
	var sent int64
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
		n, err := w.Write(p.Data())
		p.Release()
		sent += int64(n)
		if err != nil {
			return sent, err
		}
	}
}

// Offset is the current position: that of the next byte to be read.
func (r *FileReader) Offset() int64 {
	if r.held != nil {
		return r.held.Offset + int64(r.used)
	}
	return r.pos
}

// Seek moves the current position, as io.Seeker has it. Reading goes on there with the next call.
func (r *FileReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.Offset()
	case io.SeekEnd:
		offset += r.Size()
	}
	if offset < 0 {
		return 0, r.failure(fmt.Errorf("position %d is before the beginning", offset))
	}
	if offset == r.Offset() {
		return offset, nil
	}
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
	r.drop()
	r.pos = offset
	return offset, nil
}

// ReadAt reads at a position, as io.ReaderAt has it, and leaves the current one. It may be called from many goroutines at once.
func (r *FileReader) ReadAt(b []byte, pos int64) (int, error) {
	n := 0
	for n < len(b) && pos+int64(n) < r.Size() {
		s, err := r.openAt(pos+int64(n), pos+int64(len(b)))
		if err != nil {
			return n, r.failure(err)
		}
		// What fails here is blamed on its replica, and the next round takes another.
		n = fillFrom(s, b, n)
		s.finish()
		if cause := context.Cause(r.ctx); cause != nil {
			return n, r.failure(cause)
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// fillFrom copies from a source to b from n on, until one of them ends, and gives how far it came.
func fillFrom(s source, b []byte, n int) int {
	for n < len(b) {
		p, err := s.next()
		if err != nil {
			return n
		}
		n += copy(b[n:], p.Data())
		p.Release()
	}
	return n
}

// Close ends reading.
func (r *FileReader) Close() error {
	r.stop()
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
	r.drop()
	return nil
}

// ReportBad tells the NameNode which replicas are corrupt, so that it makes new ones from good ones. Others in the list are left out.
// Before it is called it should be sure that the fault is at the DataNode, and not on the way from it.
func (c *Client) ReportBad(ctx context.Context, list []BadReplica) error {
	var m proto.Message
	for _, bad := range list {
		if !bad.Corrupt {
			continue
		}
		b := Block{Pool: bad.Pool, ID: bad.Block, Generation: bad.Generation}
		m = m.Bytes(1, proto.Message(nil).Bytes(1, b.encode(b.Generation, 0)).Uint(2, 0).Bytes(3, bad.Node.encode()).
			Bool(4, false).Bytes(5, token{}.encode()).Uint(7, 1).String(8, bad.StorageID))
	}
	if m == nil {
		return nil
	}
	return c.do(ctx, "reportBadBlocks", "", m)
}
