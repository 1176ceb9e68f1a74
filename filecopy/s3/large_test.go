package s3_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
)

const partSize = 5 << 20

// large is content of two parts and a bit, in which no two parts are alike.
func large() []byte {
	b := make([]byte, 2*partSize+12345)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// place is one tree, opened anew for each step as other processes would.
type place struct {
	*testing.T
	site *site
	open func() *s3.Store
	file filecopy.Entry
	data []byte
}

func newPlace(t *testing.T, site *site, change ...func(*s3.Config)) *place {
	c := site.config("large/" + t.Name())
	for _, f := range change {
		f(&c)
	}
	p := &place{T: t, site: site, data: large()}
	p.file = filecopy.Entry{Path: "d/large", Kind: filecopy.File, Size: int64(len(p.data))}
	p.open = func() *s3.Store {
		s, err := s3.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return p
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// write sends a part.
func (p *place) write(h filecopy.Handle, number int) error {
	at := number * partSize
	piece := p.data[at:min(at+partSize, len(p.data))]
	part := filecopy.Part{Number: number, Offset: int64(at), Size: int64(len(piece))}
	return p.open().Write(p.Context(), h, part, bytes.NewReader(piece))
}

func (p *place) stage() filecopy.Handle {
	p.Helper()
	h, err := p.open().Begin(p.Context(), "lot", p.file)
	p.must(err)
	for _, number := range []int{2, 0, 1, 0} {
		p.must(p.write(h, number))
	}
	return h
}

func (p *place) seal(h filecopy.Handle) filecopy.Sealed {
	p.Helper()
	sealed, err := p.open().Seal(p.Context(), h, p.file, p.sum())
	p.must(err)
	return sealed
}

func (p *place) sum() filecopy.Checksum { return filecopy.SumOf(0).Extend(p.data) }

func (p *place) stat() (filecopy.Entry, error) {
	v, err := p.open().Open(p.Context(), filecopy.Pin{})
	p.must(err)
	return v.Stat(p.Context(), p.file.Path)
}

// read reads what is published.
func (p *place) read(e filecopy.Entry, offset int64) ([]byte, error) {
	v, err := p.open().Open(p.Context(), filecopy.Pin{})
	p.must(err)
	r, err := v.Read(p.Context(), e, offset)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	p.must(r.Close())
	return b, err
}

func (p *place) unseen() {
	p.Helper()
	if _, err := p.stat(); !errors.Is(err, filecopy.ErrNotFound) {
		p.Errorf("what is staged is visible: %v", err)
	}
}

// TestALargeFileIsStagedInParts goes through all steps in processes of their own, and repeats each; once where the server computes checksums,
// and once where it does not and the staged object is copied in pieces.
func TestALargeFileIsStagedInParts(t *testing.T) {
	site := boot(t)
	for name, change := range map[string][]func(*s3.Config){"Upload": nil, "ReadBack": {readBack}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, site, change...)
			open := p.open
			p.open = func() *s3.Store {
				s := open()
				s.InParts(partSize)
				return s
			}
			h := p.stage()
			p.unseen()
			sealed := p.seal(h)
			if again := p.seal(h); again != sealed {
				t.Errorf("sealed again = %+v, was %+v", again, sealed)
			}
			p.proven(sealed)
			p.unseen()
			version, err := p.open().Publish(t.Context(), sealed, p.file)
			p.must(err)
			p.published(version)
			p.must(p.open().Discard(t.Context(), "lot"))
			again, err := p.open().Publish(t.Context(), sealed, p.file)
			if err != nil || again != version {
				t.Errorf("published again = %q, %v, was %q", again, err, version)
			}
			plant(t, p.open(), p.file.Path, "another")
			if _, err := p.open().Publish(t.Context(), sealed, p.file); !errors.Is(err, filecopy.ErrNotFound) {
				t.Errorf("publish of what is gone = %v", err)
			}
		})
	}
}

// proven wants the proof of a sealed file to hold.
func (p *place) proven(sealed filecopy.Sealed) {
	p.Helper()
	if sealed.Proof == filecopy.ProofServer {
		if sealed.Sum != p.sum() {
			p.Errorf("the server says %s, sent was %s", sealed.Sum, p.sum())
		}
		return
	}
	r, err := p.open().ReadSealed(p.Context(), sealed)
	p.must(err)
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, p.data) {
		p.Errorf("read back %d bytes, %v", len(b), err)
	}
}

// published wants the file to be there, whole, under a version.
func (p *place) published(version string) {
	p.Helper()
	e, err := p.stat()
	if err != nil || e.Version != version || e.Size != p.file.Size {
		p.Fatalf("stat = %+v, %v, want version %q", e, err, version)
	}
	if e.Sum.Known && e.Sum != p.sum() {
		p.Errorf("sum = %s, want %s", e.Sum, p.sum())
	}
	for _, offset := range []int64{0, 1, partSize, p.file.Size - 1, p.file.Size} {
		if b, err := p.read(e, offset); err != nil || !bytes.Equal(b, p.data[offset:]) {
			p.Errorf("read from %d = %d bytes, %v", offset, len(b), err)
		}
	}
}

// TestWhatIsDiscardedIsGone ends an upload with its lot, and leaves that of another lot alone.
func TestWhatIsDiscardedIsGone(t *testing.T) {
	site := boot(t)
	for name, change := range map[string][]func(*s3.Config){"Upload": nil, "ReadBack": {readBack}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, site, change...)
			h := p.stage()
			other, err := p.open().Begin(t.Context(), "other", p.file)
			p.must(err)
			p.must(p.write(other, 0))
			for range 2 {
				p.must(p.open().Discard(t.Context(), "lot"))
			}
			if err := p.write(h, 1); !errors.Is(err, filecopy.ErrNotFound) {
				t.Errorf("write after discard = %v", err)
			}
			if _, err := p.open().Seal(t.Context(), h, p.file, p.sum()); !errors.Is(err, filecopy.ErrNotFound) {
				t.Errorf("seal after discard = %v", err)
			}
			p.must(p.write(other, 1))
			p.must(p.open().Discard(t.Context(), "other"))
		})
	}
}

// TestAMissingPartIsFound seals without the middle, and without the end.
func TestAMissingPartIsFound(t *testing.T) {
	p := newPlace(t, boot(t))
	for _, numbers := range [][]int{{0, 2}, {0, 1}} {
		h, err := p.open().Begin(t.Context(), "lot", p.file)
		p.must(err)
		for _, n := range numbers {
			p.must(p.write(h, n))
		}
		if _, err := p.open().Seal(t.Context(), h, p.file, p.sum()); !errors.Is(err, filecopy.ErrCorrupt) {
			t.Errorf("sealed parts %v: %v", numbers, err)
		}
	}
	p.must(p.open().Discard(t.Context(), "lot"))
}

// TestTheServerChecksTheWholeAtTheEnd completes an upload with a sum that is not its own: nothing appears.
func TestTheServerChecksTheWholeAtTheEnd(t *testing.T) {
	p := newPlace(t, boot(t))
	sealed := p.seal(p.stage())
	sealed.Sum.CRC32C ^= 1
	if _, err := p.open().Publish(t.Context(), sealed, p.file); !errors.Is(err, filecopy.ErrCorrupt) {
		t.Errorf("publish with a wrong sum = %v", err)
	}
	p.unseen()
}

// TestRottenObjectsAreFound flips a bit on the server's disk, under an unchanged ETag: of a small file, which one answer gives
// whole, and of a large one, which is read in parts.
func TestRottenObjectsAreFound(t *testing.T) {
	site := boot(t)
	for name, size := range map[string]int{"small": 1000, "large": 2*partSize + 7} {
		source := site.tree(t)
		job := filecopy.Job{Name: "rotten", Source: source, Target: filecopytest.NewMemory("target", false)}
		into := filecopy.Job{Name: "into", Source: filecopytest.NewMemory("origin", false), Target: source}
		plant(t, into.Source.(filecopy.Target), "file", string(large()[:size]))
		if _, err := native.New(t.TempDir()).Run(t.Context(), into, nil); err != nil {
			t.Fatal(err)
		}
		root := source.Describe().Name[len(site.server.Addr())+len(bucket)+2:]
		if err := site.server.Damage(bucket, root+"/file"); err != nil {
			t.Fatal(err)
		}
		job.Target = site.tree(t)
		_, err := native.New(t.TempDir()).Run(t.Context(), job, nil)
		wants(t, "US606", err)
		if err := site.server.Damage(bucket, root+"/file"); err != nil {
			t.Fatal(err)
		}
		if _, err := native.New(t.TempDir()).Run(t.Context(), job, nil); err != nil {
			t.Errorf("%s, repaired: %v", name, err)
		}
	}
}

// TestLargeKeptObjects keeps one of several parts, and one that ends with a full one.
func TestLargeKeptObjects(t *testing.T) {
	p := newPlace(t, boot(t))
	for _, size := range []int{0, partSize, 2 * partSize, len(p.data)} {
		p.must(p.open().Keep(t.Context(), "job/list", bytes.NewReader(p.data[:size])))
		r, err := p.open().Kept(t.Context(), "job/list")
		p.must(err)
		b, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(b, p.data[:size]) {
			t.Errorf("kept %d bytes of %d, %v", len(b), size, err)
		}
		p.must(r.Close())
	}
	broken := errors.New("broken")
	if err := p.open().Keep(t.Context(), "job/other", io.MultiReader(bytes.NewReader(p.data), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("keep = %v", err)
	}
	if names, err := p.open().KeptNames(t.Context(), ""); err != nil || len(names) != 1 {
		t.Errorf("kept names = %v, %v", names, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestAWholeBucketIsATree lists a bucket without a prefix: what the mover keeps in it is not part of the tree.
func TestAWholeBucketIsATree(t *testing.T) {
	site := boot(t)
	c := site.config("")
	c.Bucket = "whole"
	if err := site.server.MakeBucket(c.Bucket); err != nil {
		t.Fatal(err)
	}
	s, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	plant(t, s, "a/b", "content")
	plant(t, s, "c", "more")
	if err := s.Keep(t.Context(), "job/list", bytes.NewReader([]byte("kept"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Retire(t.Context(), "a", "20200101T000000Z-x-1"); err != nil {
		t.Fatal(err)
	}
	if all, err := list(t, s); err != nil || len(all) != 1 || all[0] != "c" {
		t.Errorf("listed %q, %v", all, err)
	}
	if all, err := s.Quarantines(t.Context(), time.Time{}); err != nil || len(all) != 1 || all[0].Name != "20200101T000000Z-x-1" {
		t.Errorf("quarantines = %+v, %v", all, err)
	}
	if all, err := s.Quarantines(t.Context(), time.Now()); err != nil || len(all) != 0 {
		t.Errorf("quarantines = %+v, %v", all, err)
	}
}
