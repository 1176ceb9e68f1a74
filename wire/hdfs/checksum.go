package hdfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// compositeCRC is BlockChecksumTypeProto.COMPOSITE_CRC.
const compositeCRC = 2

// sumsAtOnce is how many blocks of one file are asked for at a time.
const sumsAtOnce = 4

// CombineCRC32C gives the CRC32C of A followed by B from those of A and B and the length of B in bytes.
func CombineCRC32C(a, b uint32, lengthB int64) uint32 { return crc.Combine(a, b, lengthB) }

// FileSum is the CRC32C of all the bytes of a file, and how many they are.
// It depends on nothing but the content: not on the block size, replication or erasure coding.
type FileSum struct {
	CRC32C uint32
	Length int64
}

// Checksum asks the DataNodes for the CRC32C of a file (HDFS-13056, COMPOSITE_CRC). They compute it from the checksums they keep, so that no data moves,
// and a replica whose data no longer fits its checksums is not found this way: only reading finds that.
// ErrUnderConstruction while the file is written; ErrUnsupported on DataNodes before 3.1.1 and on blocks that were not written with CRC32C.
func (c *Client) Checksum(ctx context.Context, name string) (FileSum, error) {
	b, err := c.Locate(ctx, name, 0, -1)
	if err != nil {
		return FileSum{}, err
	}
	return c.ChecksumOf(ctx, name, b)
}

// ChecksumOf is Checksum for a file whose blocks are known, as from a listing with locations. Where blocks need tokens it asks for them.
func (c *Client) ChecksumOf(ctx context.Context, name string, b *Blocks) (FileSum, error) {
	if c.login != nil && len(b.List) > 0 && len(b.List[0].token.identifier) == 0 {
		return c.Checksum(ctx, name)
	}
	if b.UnderConstruction {
		return FileSum{}, &Error{Op: "checksum", Path: name, Err: ErrUnderConstruction}
	}
	sums := make([]uint32, len(b.List))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sumsAtOnce)
	for i := range b.List {
		g.Go(func() error {
			var err error
			sums[i], err = c.blockSum(gctx, &b.List[i], b.ErasureCoding)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return FileSum{}, &Error{Op: "checksum", Path: name, Err: err}
	}
	var s FileSum
	for i, block := range b.List {
		s.CRC32C = crc.Combine(s.CRC32C, sums[i], block.Length)
		s.Length += block.Length
	}
	return s, nil
}

// blockSum asks one DataNode after the other for the sum of a block.
func (c *Client) blockSum(ctx context.Context, b *Block, policy *ErasurePolicy) (uint32, error) {
	var failed []error
	for _, r := range b.Replicas {
		sum, err := c.blockSumAt(ctx, b, r, policy)
		if err == nil {
			return sum, nil
		}
		failed = append(failed, fmt.Errorf("DataNode %s: %w", c.data.address(r.Node), err))
		if ctx.Err() != nil {
			break
		}
	}
	return 0, fmt.Errorf("%w of block %d: %w", ErrNoReplica, b.ID, errors.Join(failed...))
}

// blockSumAt asks one DataNode. A block group has an operation of its own: asked with the one for blocks, a DataNode gives the sum
// of the part it holds, without a sign that it is not that of the group.
func (c *Client) blockSumAt(ctx context.Context, b *Block, r Replica, policy *ErasurePolicy) (uint32, error) {
	conn, err := c.data.dial(ctx, r.Node, b.token)
	if err != nil {
		return 0, err
	}
	defer conn.close()
	options := proto.Message(nil).Uint(1, compositeCRC)
	op, request := byte(opBlockChecksum), proto.Message(nil).Bytes(1, baseHeader(b.encode(b.Generation, b.Length), b.token)).Bytes(2, options)
	if policy != nil {
		op, request = opBlockGroupChecksum, groupRequest(b, policy).Bytes(7, options)
	}
	if err := conn.start(op, request); err != nil {
		return 0, err
	}
	reply, err := conn.reply("block checksum")
	if err != nil {
		return 0, err
	}
	s := reply.sum
	if !s.composite || len(s.value) != 4 {
		return 0, fmt.Errorf("%w: the DataNode gives no composite checksum", ErrUnsupported)
	}
	if s.kind != packet.CRC32C {
		return 0, fmt.Errorf("%w: the block was written with checksums of type %d, not CRC32C", ErrUnsupported, s.kind)
	}
	return binary.BigEndian.Uint32(s.value), nil
}

// groupRequest gives OpBlockGroupChecksumProto without its options: the DataNode asked gathers from the others.
func groupRequest(b *Block, policy *ErasurePolicy) proto.Message {
	var nodes proto.Message
	for _, r := range b.Replicas {
		nodes = nodes.Bytes(1, r.Node.encode())
	}
	m := proto.Message(nil).Bytes(1, baseHeader(b.encode(b.Generation, b.Length), b.token)).Bytes(2, nodes)
	for _, r := range b.Replicas {
		m = m.Bytes(3, r.token.encode())
	}
	m = m.Bytes(4, policy.raw)
	for _, r := range b.Replicas {
		m = m.Uint(5, uint64(r.Index))
	}
	return m.Uint(6, uint64(b.Length))
}
