package hdfs_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy/wire/hdfs"
)

// small is the block size that makes small files have many blocks.
const small = 1 << 20

func TestWhatIsWrittenIsRead(t *testing.T) {
	p := open(t)
	for _, size := range []int{0, 1, 511, 512, 513, 65535, 65536, 65537, small - 1, small, small + 1, 3*small + 77, 9 * small} {
		data := random(uint64(size), size)
		written := p.write("f", data, hdfs.CreateOptions{Overwrite: true, BlockSize: small, Replication: 2})
		if written.Length != int64(size) {
			t.Errorf("%d bytes written, %d counted", size, written.Length)
		}
		if got := p.read("f"); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes written, other %d read", size, len(got))
		}
		sum, err := p.Checksum(t.Context(), p.at("f"))
		must(t, err)
		if sum.CRC32C != written.CRC32C || sum.Length != int64(size) {
			t.Errorf("%d bytes: sum of the DataNodes %08x of %d, ours %08x", size, sum.CRC32C, sum.Length, written.CRC32C)
		}
		if e := p.entry("f"); e.CRC != written.CRC32C || e.Length != int64(size) || e.BlockSize != small {
			t.Errorf("%d bytes: the judge sees %v, we %+v", size, e, written)
		}
	}
}

func TestWritesOfAnySizeMakeOneFile(t *testing.T) {
	p := open(t)
	data := random(1, 2*small+12345)
	w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: small})
	must(t, err)
	for i, n := 0, 1; i < len(data); i, n = i+n, n*3%70001+1 {
		_, err := w.Write(data[i:min(i+n, len(data))])
		must(t, err)
	}
	if w.Blocks() != nil {
		t.Error("an open file has all its blocks")
	}
	_, err = w.Sum()
	refused(t, err, hdfs.ErrUnsupported)
	must(t, w.Finish())
	before := p.Calls()
	early, err := w.Sum()
	must(t, err)
	if early.CRC32C != crcOf(data) || early.Length != int64(len(data)) || p.Calls() != before {
		t.Errorf("before it is closed the DataNodes give %+v, we wrote %+v", early, w.Written())
	}
	_, err = w.Write(data)
	refused(t, err, hdfs.ErrClosed)
	must(t, w.Close())
	if !bytes.Equal(p.read("f"), data) || p.entry("f").CRC != w.Written().CRC32C {
		t.Error("the file differs from what was written")
	}
	before = p.Calls()
	sum, err := p.ChecksumOf(t.Context(), p.at("f"), w.Blocks())
	must(t, err)
	if sum.CRC32C != w.Written().CRC32C || sum.Length != int64(len(data)) || p.Calls() != before || len(w.Blocks().List) != 3 {
		t.Errorf("the writer's blocks give %+v by %d calls to the NameNode, we wrote %+v", sum, p.Calls()-before, w.Written())
	}
	known, err := p.Locate(t.Context(), p.at("f"), 0, -1)
	must(t, err)
	for i, b := range w.Blocks().List {
		if k := known.List[i]; b.ID != k.ID || b.Generation != k.Generation || b.Length != k.Length || b.Offset != k.Offset {
			t.Errorf("the writer has the block %+v, the NameNode %+v", b, k)
		}
	}
}

// The packets of a long block grow; flushes in the middle of a chunk, and packets of a reader, may come at any place of it.
func TestALongBlockIsOneFile(t *testing.T) {
	p := open(t)
	data := random(4, 5*small+12345)
	p.write("from", data[:small+700], hdfs.CreateOptions{})
	w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: 4 * small})
	must(t, err)
	for i, n := 0, 1; i < len(data); i, n = i+n, n*5%300007+1 {
		_, err := w.Write(data[i:min(i+n, len(data))])
		must(t, err)
		if n%3 == 0 {
			must(t, w.Flush())
		}
	}
	r, err := p.Open(t.Context(), p.at("from"))
	must(t, err)
	must(t, relay(r, w))
	must(t, w.Close())
	must(t, r.Close())
	data = append(data, data[:small+700]...)
	if !bytes.Equal(p.read("f"), data) || p.entry("f").CRC != w.Written().CRC32C {
		t.Error("the file differs from what was written")
	}
}

// A flush in the middle of a chunk has the chunk sent again with what follows; readers see all that was flushed.
func TestFlushedDataIsSeen(t *testing.T) {
	p := open(t)
	data := random(2, small+70000)
	w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: small, Replication: 2})
	must(t, err)
	ends := []int{1, 100, 511, 512, 513, 5000, 65536 + 512, 200001, 200001, small - 1, small, small + 3, len(data)}
	from := 0
	for i, end := range ends {
		_, err := w.Write(data[from:end])
		must(t, err)
		if i%2 == 0 {
			must(t, w.Flush())
		} else {
			must(t, w.Sync())
		}
		from = end
		got, err := p.judge.Read(t.Context(), p.access, p.at("f"))
		must(t, err)
		if !bytes.Equal(got, data[:end]) {
			t.Fatalf("flushed at %d, the judge reads %d bytes", end, len(got))
		}
	}
	must(t, w.Close())
	if e := p.entry("f"); e.CRC != w.Written().CRC32C || e.Length != int64(len(data)) || !bytes.Equal(p.read("f"), data) {
		t.Errorf("the judge sees %v, we wrote %+v", e, w.Written())
	}
}

func TestAppendGoesOnAtTheEnd(t *testing.T) {
	p := open(t)
	data := random(3, 100)
	p.write("f", data, hdfs.CreateOptions{BlockSize: small, Replication: 2})
	for i, size := range []int{1, 411, 1000, small, 3, small + 5} {
		w, err := p.Append(t.Context(), p.at("f"), hdfs.AppendOptions{NewBlock: i == 4})
		must(t, err)
		more := random(uint64(10+i), size)
		_, err = w.Write(more)
		must(t, err)
		must(t, w.Close())
		before := crcOf(data)
		data = append(data, more...)
		if w.Written().Length != int64(size) || hdfs.CombineCRC32C(before, w.Written().CRC32C, int64(size)) != crcOf(data) {
			t.Errorf("append of %d: %+v", size, w.Written())
		}
		if got := p.read("f"); !bytes.Equal(got, data) {
			t.Fatalf("after %d more the file has %d bytes and is another", size, len(got))
		}
		if e := p.entry("f"); e.CRC != crcOf(data) {
			t.Errorf("after %d more the judge sees %v", size, e)
		}
	}
}

// Packets go on as they are where blocks fit, and are copied where they do not; the file is the same.
func TestPacketsGoFromFileToFile(t *testing.T) {
	p := open(t)
	data := random(4, 5*small+4321)
	from := p.write("from", data, hdfs.CreateOptions{BlockSize: 2 * small})
	must(t, p.Concat(t.Context(), p.at("from"), p.odd(data)))
	data = append(data, data[:small+7]...)
	for _, size := range []int64{small, 2 * small, small + 512, 128 << 20} {
		r, err := p.Open(t.Context(), p.at("from"))
		must(t, err)
		w, err := p.Create(t.Context(), p.at("to"), hdfs.CreateOptions{Overwrite: true, BlockSize: size, Replication: 2})
		must(t, err)
		must(t, relay(r, w))
		must(t, w.Close())
		must(t, r.Close())
		want := hdfs.CombineCRC32C(from.CRC32C, crcOf(data[:small+7]), small+7)
		if w.Written().CRC32C != want || p.entry("to").CRC != want || !bytes.Equal(p.read("to"), data) {
			t.Errorf("blocks of %d: %+v, want %08x", size, w.Written(), want)
		}
	}
}

// odd writes a file whose length fits no chunk.
func (p place) odd(data []byte) []string {
	p.write("odd", data[:small+7], hdfs.CreateOptions{BlockSize: 2 * small})
	return []string{p.at("odd")}
}

// relay sends all packets of a reader on.
func relay(r *hdfs.FileReader, w *hdfs.FileWriter) error {
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = w.WritePacket(p)
		}
		if err != nil {
			return err
		}
	}
}

func TestReadingAnywhere(t *testing.T) {
	p := open(t)
	data := random(5, 3*small+1000)
	p.write("f", data, hdfs.CreateOptions{BlockSize: small})
	r, err := p.Open(t.Context(), p.at("f"))
	must(t, err)
	defer r.Close()
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			b := make([]byte, 1+i*20011)
			pos := int64(i) * 190001
			n, err := r.ReadAt(b, pos)
			if err != nil && (!errors.Is(err, io.EOF) || pos+int64(len(b)) <= int64(len(data))) {
				t.Errorf("%d at %d: %v", len(b), pos, err)
			}
			if !bytes.Equal(b[:n], data[pos:pos+int64(n)]) {
				t.Errorf("%d at %d: other bytes", n, pos)
			}
		})
	}
	for _, pos := range []int64{100, 7, 513, 3 * small, small - 1, 0, 2*small + 100000} {
		at, err := r.Seek(pos, io.SeekStart)
		must(t, err)
		b := make([]byte, 900)
		_, err = io.ReadFull(r, b)
		must(t, err)
		if at != pos || !bytes.Equal(b, data[pos:pos+900]) || r.Offset() != pos+900 {
			t.Errorf("at %d: other bytes, position %d", pos, r.Offset())
		}
	}
	group.Wait()
	if _, err := r.ReadAt(make([]byte, 1), int64(len(data))); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	p := open(t)
	w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: small})
	must(t, err)
	_, err = w.Write(random(6, 2*small+9))
	must(t, err)
	must(t, w.Abort())
	must(t, w.Abort())
	_, err = p.Stat(t.Context(), p.at("f"))
	refused(t, err, hdfs.ErrNotFound)
	_, err = w.Write([]byte("x"))
	refused(t, err, hdfs.ErrClosed)
}

// A file that is replaced while it is read is read to its end or not at all: never on in the middle of the other.
func TestAReplacedFileIsNotReadOn(t *testing.T) {
	p := open(t)
	p.write("f", random(7, small), hdfs.CreateOptions{Replication: 1})
	p.write("g", random(8, small), hdfs.CreateOptions{Replication: 1})
	b, err := p.Locate(t.Context(), p.at("f"), 0, -1)
	must(t, err)
	// Nothing answers where the block is said to lie, so the reader asks for it again.
	node := *b.List[0].Replicas[0].Node
	node.Port = 1
	b.List[0].Replicas[0].Node = &node
	r, err := p.OpenInfo(t.Context(), &hdfs.FileInfo{Path: p.at("f"), Blocks: b})
	must(t, err)
	defer r.Close()
	must(t, p.Replace(t.Context(), p.at("g"), p.at("f")))
	if got, err := io.ReadAll(r); err == nil || len(got) > 0 {
		t.Errorf("%d bytes of another file were read, %v", len(got), err)
	}
}
