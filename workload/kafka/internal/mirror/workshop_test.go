package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

const shopLimit = 1 << 24

func shop(t testing.TB, size int64) *workshop {
	t.Helper()
	w, err := newWorkshop(size, shopLimit)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// weighty is a batch of one record of the given size, which compression makes small unless it is of chance.
func weighty(t testing.TB, codec batch.Codec, size int, chance bool) batch.Batch {
	t.Helper()
	value := bytes.Repeat([]byte{'x'}, size)
	if chance {
		_, _ = rand.NewChaCha8([32]byte{1}).Read(value)
	}
	b, err := coder(t).Encode(codec, batch.Producer{ID: 1}, []batch.Record{{Value: value}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read opens a batch as send does, and looks at what was taken for it.
func (w *workshop) read(ctx context.Context, b batch.Batch, look func(batch.Body, *room)) error {
	return w.within(ctx, w.roomFor(b), func(r *room) error {
		body, err := r.open(b)
		if err != nil {
			return err
		}
		r.fit()
		look(body, r)
		return nil
	})
}

// TestWorkshopCountsWhatIsInABatch wants no less to be taken than the records need, whatever the batch looked like.
func TestWorkshopCountsWhatIsInABatch(t *testing.T) {
	w := shop(t, 1<<30)
	for _, codec := range []batch.Codec{batch.None, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd} {
		for _, size := range []int{10, 900 << 10} {
			for _, chance := range []bool{false, true} {
				countsWhatIsIn(t, w, weighty(t, codec, size, chance), size)
			}
		}
	}
	err := w.read(t.Context(), weighty(t, batch.LZ4, shopLimit+1, false), func(batch.Body, *room) { t.Error("read") })
	if !errors.Is(err, batch.ErrTooLarge) || !w.memory.empty() {
		t.Errorf("beyond the limit: %v", err)
	}
}

// TestWorkshopReadsWhatStreamsCompressed opens a small batch whose frame names a large window, as those of Kafka's own clients do.
func TestWorkshopReadsWhatStreamsCompressed(t *testing.T) {
	const length, attributes, checksum = 8, 21, 17
	b := weighty(t, batch.None, 10, false)
	body := slices.Clone(b[batch.HeaderSize:])
	// Magic number, a descriptor that says nothing, a window in powers of two KiB, and one last block of bytes as they are.
	frame := func(window int, of []byte) []byte {
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, byte(window << 3), byte(len(of)<<3 | 1), 0, 0}, of...)
	}
	large, small := 11, 0
	for name, frames := range map[string][]byte{
		"one frame": frame(large, body), "a small frame first": append(frame(small, body[:5]), frame(large, body[5:])...),
	} {
		b := append(b[:batch.HeaderSize:batch.HeaderSize], frames...)
		binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
		binary.BigEndian.PutUint16(b[attributes:], uint16(batch.Zstd))
		binary.BigEndian.PutUint32(b[checksum:], crc32.Checksum(b[attributes:], crc32.MakeTable(crc32.Castagnoli)))
		for _, budget := range []int64{1 << 20, 1 << 30} {
			w, opened := shop(t, budget), false
			if err := w.read(t.Context(), b, func(body batch.Body, _ *room) { opened = body.Len() > 0 }); err != nil || !opened || !w.memory.empty() {
				t.Errorf("%s with %d bytes: opened %v, %v", name, budget, opened, err)
			}
		}
	}
}

func countsWhatIsIn(t *testing.T, w *workshop, b batch.Batch, size int) {
	t.Helper()
	err := w.read(t.Context(), b, func(body batch.Body, r *room) {
		least := int64(body.Size() + 2*size)
		if b.Codec() == batch.None {
			least = int64(2 * size) // the records lie in what was fetched
		}
		if taken := r.chunk.weight; body.Len() < size || taken < least || taken > 8*int64(size)+8<<10 {
			t.Errorf("%s of %d bytes in %d: %d bytes were taken, and no less than %d are needed", b.Codec(), size, len(b), taken, least)
		}
	})
	if err != nil || !w.memory.empty() {
		t.Errorf("%s of %d bytes: %v; all given back: %v", b.Codec(), size, err, w.memory.empty())
	}
}

// TestWorkshopIsBounded has many take apart what grows a hundredfold: never do they hold more than the budget, and one that
// needs more than all of it works alone.
func TestWorkshopIsBounded(t *testing.T) {
	const budget = 8 << 20
	w := shop(t, budget)
	var now, alone atomic.Int64
	var all sync.WaitGroup
	for i := range 12 {
		size := []int{100 << 10, 800 << 10, 4 << 20}[i%3]
		b := weighty(t, batch.Zstd, size, false)
		look := func(body batch.Body, _ *room) {
			held := now.Add(int64(body.Size()))
			defer now.Add(-int64(body.Size()))
			if workRatio*int64(size) < budget {
				if held > budget {
					t.Errorf("%d bytes of records at once", held)
				}
				return
			}
			alone.Add(1)
			if held != int64(body.Size()) {
				t.Errorf("%d bytes beside one that needs all", held-int64(body.Size()))
			}
		}
		all.Go(func() {
			if err := w.read(t.Context(), b, look); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if alone.Load() != 4 || !w.memory.empty() {
		t.Errorf("%d worked alone; all given back: %v", alone.Load(), w.memory.empty())
	}
}

func TestWorkshopWaitsNoLongerThanItsCaller(t *testing.T) {
	w := shop(t, 1<<20)
	err := w.read(t.Context(), weighty(t, batch.Zstd, 2<<20, false), func(batch.Body, *room) {
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := w.read(short, weighty(t, batch.None, 10, false), func(batch.Body, *room) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beside a full workshop: %v", err)
		}
	})
	if err != nil || !w.memory.empty() {
		t.Errorf("%v; all given back: %v", err, w.memory.empty())
	}
}

// TestKeptBuffersCount wants that buffers kept for later use, and those in use, are within the budget together.
func TestKeptBuffersCount(t *testing.T) {
	b := newBudget(1 << 20)
	for n := 8 << 10; n < 1<<20; n *= 2 {
		c, err := b.get(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		c.release()
	}
	if b.kept == 0 {
		t.Fatal("nothing is kept")
	}
	c, err := b.get(t.Context(), 700<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	if b.used+b.kept > b.size || b.used < 700<<10 {
		t.Errorf("%d bytes in use and %d kept, of %d", b.used, b.kept, b.size)
	}
}
