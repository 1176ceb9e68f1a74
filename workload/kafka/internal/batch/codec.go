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
	client, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(limit))
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

// body gives the records of b, decompressed; for codec None they alias b.
func (c *Coder) body(b Batch) ([]byte, error) {
	raw := b[HeaderSize:]
	if b.Codec() != None {
		out, err := c.decompressor.Decompress(raw, kgo.CompressionCodecType(b.Codec()))
		if errors.Is(err, kgo.ErrMaxDecompress) {
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

// compress appends the compressed body to dst.
func (c *Coder) compress(dst []byte, codec Codec, body []byte) ([]byte, error) {
	if codec == None {
		return append(dst, body...), nil
	}
	if codec < None || codec > Zstd {
		return nil, corrupt("%s", codec)
	}
	compressor, err := c.compressors[codec]()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", codec, err)
	}
	var buf bytes.Buffer
	out, used := compressor.Compress(&buf, body)
	if Codec(used) != codec {
		return nil, fmt.Errorf("compressing %d bytes as %s failed", len(body), codec)
	}
	return append(dst, out...), nil
}
