package batch

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Codec is a compression of the protocol.
type Codec int8

// The codecs of the protocol.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String gives the codec as Kafka's compression.type spells it.
func (c Codec) String() string {
	names := [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	if c < None || c > Zstd {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return names[c]
}

// Coder reads and writes records. It is safe for concurrent use.
type Coder struct {
	decompressor kgo.Decompressor
	compressors  [Zstd + 1]func() (kgo.Compressor, error)
	limit        int
}

// NewCoder makes a Coder that refuses batches whose records are larger than limit bytes, decompressed.
func NewCoder(limit int) (*Coder, error) {
	// franz-go bounds only a client's own decompressor; this client never dials.
	client, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(limit), kgo.WithPools(unshared{limit}))
	if err != nil {
		return nil, fmt.Errorf("a limit of %d bytes: %w", limit, err)
	}
	defer client.Close()
	decompressor, ok := client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, errors.New("the Kafka client has no decompressor")
	}
	c := &Coder{decompressor: decompressor, limit: limit}
	for codec, how := range map[Codec]kgo.CompressionCodec{
		Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
	} {
		// A compressor brings its buffers, several megabytes for LZ4, and most coders only read.
		c.compressors[codec] = sync.OnceValues(func() (kgo.Compressor, error) { return kgo.DefaultCompressor(how) })
	}
	return c, nil
}

// unshared has each batch decompressed into memory of its own: franz-go would keep the largest buffer it ever needed, where
// nobody counts it, and copy what is in it.
type unshared struct{ limit int }

// GetDecompressBytes gives room for the codecs that do not say how much is in a batch, so that it seldom grows.
func (u unshared) GetDecompressBytes(compressed []byte, codec kgo.CompressionCodecType) []byte {
	if codec != kgo.CodecGzip && codec != kgo.CodecLz4 {
		return nil
	}
	return make([]byte, 0, min(4*len(compressed), u.limit))
}

// PutDecompressBytes drops the memory.
func (unshared) PutDecompressBytes([]byte) {}

// body gives the records of b, decompressed; for codec None they alias b.
func (c *Coder) body(b Batch) ([]byte, error) {
	raw := b[HeaderSize:]
	if b.Codec() != None {
		out, err := c.decompressor.Decompress(raw, kgo.CompressionCodecType(b.Codec()))
		if errors.Is(err, kgo.ErrMaxDecompress) || err != nil && b.Codec() == Zstd && window(raw) > int64(c.limit) {
			return nil, fmt.Errorf("%w of %d bytes at offset %d", ErrTooLarge, c.limit, b.BaseOffset())
		}
		if err != nil {
			return nil, corrupt("%s at offset %d: %v", b.Codec(), b.BaseOffset(), err)
		}
		raw = out
	}
	if len(raw) > c.limit {
		return nil, fmt.Errorf("%w of %d bytes at offset %d", ErrTooLarge, c.limit, b.BaseOffset())
	}
	return raw, nil
}

// window is the size of the window that a zstd frame names (RFC 8878, 3.1.1.1.2), and 0 where it names none. Decoders refuse one beyond their
// limit. A stream names one, two megabytes as Kafka's clients write it, however little is in it.
func window(frame []byte) int64 {
	const descriptor, named, singleSegment = 4, 5, 1 << 5
	if len(frame) <= named || frame[descriptor]&singleSegment != 0 {
		return 0
	}
	base := int64(1) << (10 + frame[named]>>3)
	return base + base/8*int64(frame[named]&7)
}

// compress gives head room bytes, and after them the compressed body, in memory of just that size.
func (c *Coder) compress(head int, codec Codec, body []byte) ([]byte, error) {
	if codec == None {
		return headed(head, body), nil
	}
	if codec < None || codec > Zstd {
		return nil, corrupt("%s", codec)
	}
	compressor, err := c.compressors[codec]()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", codec, err)
	}
	var buf bytes.Buffer
	if codec == Gzip || codec == LZ4 {
		buf.Grow(len(body)/2 + bytes.MinRead) // the others know what they need
	}
	out, used := compressor.Compress(&buf, body)
	if Codec(used) != codec {
		return nil, fmt.Errorf("compressing %d bytes as %s failed", len(body), codec)
	}
	return headed(head, out), nil
}

func headed(head int, body []byte) []byte {
	out := make([]byte, head+len(body))
	copy(out[head:], body)
	return out
}
