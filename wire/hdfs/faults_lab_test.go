package hdfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// chain gives the DataNodes of the block of a file that holds a byte, in the order of the NameNode.
func (p place) chain(name string, pos int64) []hdfs.Replica {
	p.Helper()
	b, err := p.Locate(p.Context(), p.at(name), pos, 1)
	must(p.TB, err)
	if len(b.List) == 0 {
		p.Fatalf("no block of %s holds byte %d", name, pos)
	}
	return b.List[0].Replicas
}

// number says which DataNode of the lab it is, counted from 1.
func (p place) number(d *hdfs.DataNode) int {
	p.Helper()
	for i, a := range p.cluster.DataAddrs() {
		if strings.HasSuffix(a, ":"+strconv.Itoa(d.Port)) {
			return i + 1
		}
	}
	p.Fatalf("DataNode %s is not one of %v", d.Address(), p.cluster.DataAddrs())
	return 0
}

// kill kills a DataNode and has it back at the end of the test.
func (p place) kill(d *hdfs.DataNode) {
	p.Helper()
	node := p.cluster.DataNode(p.number(d))
	must(p.TB, node.Kill())
	p.Cleanup(func() { p.back(node) })
}

// back starts a DataNode again.
func (p place) back(node *labhdfs.Node) {
	if !node.Running() {
		must(p.TB, node.Restart(background()))
	}
}

// A DataNode dies in the middle of a block that is too long to be held: the others go on under a new generation.
func TestWriterSurvivesTheDeathOfADataNode(t *testing.T) {
	for place := range 3 {
		t.Run(fmt.Sprint("place ", place), func(t *testing.T) {
			p := open(t)
			data := random(20+uint64(place), 12*small)
			w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: 8 * small, Replication: 3})
			must(t, err)
			_, err = w.Write(data[:3*small+100])
			must(t, err)
			must(t, w.Flush())
			p.kill(p.chain("f", 0)[place].Node)
			_, err = w.Write(data[3*small+100:])
			must(t, err)
			must(t, w.Close())
			if w.Written().Recoveries == 0 {
				t.Error("nothing was mended")
			}
			if e := p.entry("f"); e.CRC != crcOf(data) || w.Written().CRC32C != e.CRC || !bytes.Equal(p.read("f"), data) {
				t.Errorf("the judge sees %v, we wrote %+v", e, w.Written())
			}
		})
	}
}

// Of three DataNodes two die: another one gets a copy of what is there, and goes on with the last.
func TestLostDataNodesAreReplaced(t *testing.T) {
	p := open(t)
	c := dial(t, hdfs.Options{NameNodes: p.cluster.Addrs(), ReplaceDatanode: true})
	data := random(25, 6*small)
	w, err := c.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: 16 * small, Replication: 3})
	must(t, err)
	_, err = w.Write(data[:3*small+100])
	must(t, err)
	must(t, w.Flush())
	chain := p.chain("f", 0)
	p.kill(chain[1].Node)
	p.kill(chain[2].Node)
	_, err = w.Write(data[3*small+100 : 4*small])
	must(t, err)
	must(t, w.Flush())
	after := p.chain("f", 0)
	_, err = w.Write(data[4*small:])
	must(t, err)
	must(t, w.Close())
	has := func(r hdfs.Replica) bool {
		return slices.ContainsFunc(after, func(a hdfs.Replica) bool { return a.Node.UUID == r.Node.UUID })
	}
	if len(after) != 2 || !has(chain[0]) || has(chain[1]) || has(chain[2]) {
		t.Errorf("the chain was %v and is %v: %v", chain, after, w.Written().Unreplaced)
	}
	if e := p.entry("f"); w.Written().Recoveries != 2 || e.CRC != crcOf(data) || !bytes.Equal(p.read("f"), data) {
		t.Errorf("the judge sees %v, we wrote %+v", e, w.Written())
	}
}

// A DataNode dies under many small files: their blocks are written anew elsewhere.
func TestSmallFilesSurviveTheDeathOfADataNode(t *testing.T) {
	p := open(t)
	data := random(30, 100000)
	first, err := p.Create(t.Context(), p.at("first"), hdfs.CreateOptions{Replication: 2})
	must(t, err)
	_, err = first.Write(data)
	must(t, err)
	p.write("probe", data, hdfs.CreateOptions{Replication: 2})
	p.kill(p.chain("probe", 0)[0].Node)
	_, err = first.Write(data)
	must(t, err)
	must(t, first.Close())
	// Until the NameNode notices the death it goes on choosing the dead one, if not for the first file then for a later one.
	recoveries, files := first.Written().Recoveries, 0
	for ; files < 10 || recoveries == 0 && files < 500; files++ {
		recoveries += p.write(fmt.Sprint("f", files), data, hdfs.CreateOptions{Replication: 2}).Recoveries
	}
	if recoveries == 0 {
		t.Error("nothing was mended")
	}
	for i := range files {
		if e := p.entry(fmt.Sprint("f", i)); e.CRC != crcOf(data) {
			t.Errorf("the judge sees %v", e)
		}
	}
	if e := p.entry("first"); e.CRC != first.Written().CRC32C || e.Length != int64(2*len(data)) {
		t.Errorf("the judge sees %v", e)
	}
}

// A DataNode freezes between the last data and the end of the block: the end alone is mended.
func TestWriterSurvivesADeathAtTheEnd(t *testing.T) {
	p := open(t)
	data := random(31, 3*small)
	w, err := p.Create(t.Context(), p.at("f"), hdfs.CreateOptions{BlockSize: 16 * small, Replication: 3})
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Flush())
	p.kill(p.chain("f", 0)[1].Node)
	must(t, w.Close())
	if e := p.entry("f"); w.Written().Recoveries == 0 || e.CRC != crcOf(data) || e.Length != int64(len(data)) {
		t.Errorf("the judge sees %v, we wrote %+v", e, w.Written())
	}
}

func TestReaderGoesOnAtAnotherReplica(t *testing.T) {
	p := open(t)
	// More than what lies in buffers between a DataNode and its reader.
	data := random(32, 32*small)
	p.write("f", data, hdfs.CreateOptions{BlockSize: 32 * small, Replication: 3})
	b, err := p.Locate(t.Context(), p.at("f"), 0, -1)
	must(t, err)
	r, err := p.OpenInfo(t.Context(), &hdfs.FileInfo{Path: p.at("f"), Blocks: b})
	must(t, err)
	defer r.Close()
	got := make([]byte, len(data))
	_, err = io.ReadFull(r, got[:small])
	must(t, err)
	p.kill(b.List[0].Replicas[0].Node)
	_, err = io.ReadFull(r, got[small:])
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes were read")
	}
	if bad := r.BadReplicas(); len(bad) == 0 || bad[0].Corrupt || bad[0].Err == nil {
		t.Errorf("bad replicas: %+v", bad)
	}
}

// flip changes one byte of every replica of a block that a DataNode of the lab holds, and says how many.
func (p place) flip(number int, block uint64, at int64) int {
	p.Helper()
	flipped := 0
	err := filepath.WalkDir(p.cluster.DataDir(number), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != fmt.Sprint("blk_", block) {
			return err
		}
		flipped++
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		b := make([]byte, 1)
		if _, err = f.ReadAt(b, at); err == nil {
			b[0] ^= 0x10
			_, err = f.WriteAt(b, at)
		}
		return errors.Join(err, f.Close())
	})
	must(p.TB, err)
	return flipped
}

func TestOneFlippedByteIsFound(t *testing.T) {
	p := open(t)
	data := random(33, small)
	p.write("f", data, hdfs.CreateOptions{Replication: 2})
	b, err := p.Locate(t.Context(), p.at("f"), 0, -1)
	must(t, err)
	for i, replica := range b.List[0].Replicas {
		if p.flip(p.number(replica.Node), b.List[0].ID, 777777) != 1 {
			t.Fatal("no replica to flip a byte of")
		}
		r, err := p.OpenInfo(t.Context(), &hdfs.FileInfo{Path: p.at("f"), Blocks: b})
		must(t, err)
		got, err := io.ReadAll(r)
		r.Close()
		bad := r.BadReplicas()
		if len(bad) == 0 || !bad[0].Corrupt || bad[0].Node.UUID != b.List[0].Replicas[0].Node.UUID {
			t.Errorf("bad replicas: %+v", bad)
		}
		if i == 0 && (err != nil || !bytes.Equal(got, data)) {
			t.Errorf("with one good replica: %d bytes, %v", len(got), err)
		}
		if i == 1 {
			refused(t, err, hdfs.ErrChecksum)
			refused(t, err, hdfs.ErrNoReplica)
			must(t, p.ReportBad(t.Context(), bad))
		}
	}
}

// erasure makes a folder erasure-coded; XOR-2-1 is the policy that three DataNodes are enough for.
func (p place) erasure(name string) {
	p.Helper()
	must(p.TB, p.Mkdirs(p.Context(), p.at(name), 0o755))
	must(p.TB, p.EnableErasurePolicy(p.Context(), "XOR-2-1-1024k"))
	must(p.TB, p.SetErasurePolicy(p.Context(), p.at(name), "XOR-2-1-1024k"))
}

func TestErasureCodedFiles(t *testing.T) {
	p := open(t)
	p.erasure("ec")
	for _, size := range []int{1, 100, small, small + 1, 2 * small, 5*small + 12345, 9*small - 1} {
		data := random(uint64(40+size), size)
		must(t, p.judge.Put(t.Context(), p.access, labhdfs.File{Path: p.at("ec/f"), Data: data, BlockSize: 2 * small}))
		f, err := p.Stat(t.Context(), p.at("ec/f"))
		must(t, err)
		if f.ErasureCoding == nil || f.ErasureCoding.Data != 2 || f.ErasureCoding.Parity != 1 || f.ErasureCoding.Name != "XOR-2-1-1024k" {
			t.Fatalf("not erasure-coded: %+v", f.ErasureCoding)
		}
		if got := p.read("ec/f"); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: other %d read", size, len(got))
		}
		sum, err := p.Checksum(t.Context(), p.at("ec/f"))
		must(t, err)
		if sum.CRC32C != crcOf(data) || sum.Length != int64(size) {
			t.Errorf("%d bytes: sum %08x of %d, want %08x", size, sum.CRC32C, sum.Length, crcOf(data))
		}
		p.readPieces("ec/f", data)
	}
	if w := p.write("ec/plain", random(50, 3*small), hdfs.CreateOptions{BlockSize: small, Replication: 2}); w.CRC32C != p.entry("ec/plain").CRC {
		t.Error("the plain file differs")
	}
	if e := p.entry("ec/plain"); e.Erasure != "" || e.Replication != 2 {
		t.Errorf("our file in an erasure-coded folder: %v", e)
	}
	_, err := p.Append(t.Context(), p.at("ec/f"), hdfs.AppendOptions{})
	refused(t, err, hdfs.ErrUnsupported)
}

// An encryption zone of a real NameNode is seen, and neither read nor written: we have no keys, and what lies there is not what its owner wrote.
func TestRealEncryptionZonesAreRefused(t *testing.T) {
	p := open(t)
	zone, ctx := p.at("zone"), t.Context()
	must(t, p.Mkdirs(ctx, zone, 0o755))
	_, err := p.judge.Tool(ctx, p.access, "crypto", "-createZone", "-keyName", zoneKey, "-path", zone)
	must(t, err)
	must(t, p.judge.Put(ctx, p.access, labhdfs.File{Path: zone + "/f", Data: []byte("secret")}))
	if found, err := p.EncryptionZone(ctx, zone+"/f"); err != nil || found != zone {
		t.Errorf("the zone is %q, %v", found, err)
	}
	for _, name := range []string{zone, zone + "/f"} {
		if f, err := p.Stat(ctx, name); err != nil || !f.Encrypted {
			t.Errorf("%s is %+v, %v", name, f, err)
		}
	}
	_, err = p.Open(ctx, zone+"/f")
	refused(t, err, hdfs.ErrEncrypted)
	_, err = p.Create(ctx, zone+"/g", hdfs.CreateOptions{})
	refused(t, err, hdfs.ErrEncrypted)
	_, err = p.Append(ctx, zone+"/f", hdfs.AppendOptions{})
	refused(t, err, hdfs.ErrEncrypted)
	_, err = p.Stat(ctx, zone+"/g")
	refused(t, err, hdfs.ErrNotFound)
	if b, err := p.judge.Read(ctx, p.access, zone+"/f"); err != nil || string(b) != "secret" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// readPieces reads pieces that begin and end anywhere.
func (p place) readPieces(name string, data []byte) {
	p.Helper()
	r, err := p.Open(p.Context(), p.at(name))
	must(p.TB, err)
	defer r.Close()
	for i := range 12 {
		from := len(data) * i / 13
		b := make([]byte, min(len(data)-from, i*150001+1))
		_, err := r.ReadAt(b, int64(from))
		must(p.TB, err)
		if !bytes.Equal(b, data[from:from+len(b)]) {
			p.Errorf("%d at %d of %d: other bytes", len(b), from, len(data))
		}
	}
}

func TestMissingDataUnitIsSaid(t *testing.T) {
	p := open(t)
	p.erasure("ec")
	must(t, p.judge.Put(t.Context(), p.access, labhdfs.File{Path: p.at("ec/f"), Data: random(60, 4*small)}))
	b, err := p.Locate(t.Context(), p.at("ec/f"), 0, -1)
	must(t, err)
	for _, replica := range b.List[0].Replicas {
		if replica.Index == 1 {
			p.kill(replica.Node)
		}
	}
	r, err := p.Open(t.Context(), p.at("ec/f"))
	must(t, err)
	defer r.Close()
	_, err = io.ReadAll(r)
	refused(t, err, hdfs.ErrNoReplica)
	if !strings.Contains(fmt.Sprint(err), "parity") {
		t.Errorf("it does not say that parity is not used: %v", err)
	}
}
