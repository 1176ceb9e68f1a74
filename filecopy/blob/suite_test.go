package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/azurite"
)

const lake = "lake"

// site is one account with a container.
type site struct {
	server *azurite.Server
	client *container.Client
	made   atomic.Int64
}

// shared is what the tests of this binary use: each has trees of its own in it.
var shared struct {
	site
	dir  string
	err  error
	once sync.Once
}

func TestMain(m *testing.M) {
	code := m.Run()
	err := os.RemoveAll(shared.dir)
	if shared.server != nil {
		err = errors.Join(shared.server.Close(), err)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func boot(t *testing.T) *site {
	t.Helper()
	shared.once.Do(func() { shared.err = start(context.WithoutCancel(t.Context())) })
	lab.Check(t, shared.err)
	return &shared.site
}

// start begins the server, with a container.
func start(ctx context.Context) (err error) {
	if shared.dir, err = os.MkdirTemp("", "understudy-blob-"); err != nil {
		return err
	}
	if shared.server, err = azurite.Start(ctx, shared.dir); err != nil {
		return err
	}
	key, err := container.NewSharedKeyCredential(azurite.Account, azurite.Key())
	if err == nil {
		shared.client, err = container.NewClientWithSharedKeyCredential(shared.server.Endpoint()+"/"+lake, key, nil)
	}
	if err == nil {
		_, err = shared.client.Create(ctx, nil)
	}
	return err
}

func labKeys(context.Context) (blob.Keys, error) {
	return blob.Keys{Account: azurite.Account, Key: azurite.Key()}, nil
}

func (s *site) at(t *testing.T, root string, part int64) *blob.Store {
	t.Helper()
	store, err := blob.New(blob.Config{URL: s.server.Endpoint(), Keys: labKeys, Container: lake, Root: root, PartSize: part})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// tree makes a store of a prefix that nobody used before.
func (s *site) tree(t *testing.T, part int64) *blob.Store {
	return s.at(t, s.root(), part)
}

// root names a prefix that nobody used before, also where a test runs many times.
func (s *site) root() string { return fmt.Sprintf("t%d/tree", s.made.Add(1)) }

// TestSuiteOnBlob runs the suite on Microsoft's emulator, in both directions, against trees with directories, links and attributes; to the
// container with files of one block and of several.
func TestSuiteOnBlob(t *testing.T) {
	s := boot(t)
	memory := func(*testing.T) filecopy.Target { return filecopytest.NewMemory("memory", true) }
	stored := func(part int64) func(*testing.T) filecopy.Target {
		return func(t *testing.T) filecopy.Target { return s.tree(t, part) }
	}
	for _, c := range []struct {
		name           string
		source, target func(*testing.T) filecopy.Target
		stride         int
	}{
		{"FromBlobs", stored(0), folder, 13},
		{"ToBlobs", memory, stored(1000), 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			filecopytest.Run(t, filecopytest.Rig{
				Source: c.source, Target: c.target, Stride: c.stride,
				Mover: func(dir string) filecopy.Mover { return native.New(dir) },
			})
		})
	}
}

// folder makes a local tree.
func folder(t *testing.T) filecopy.Target {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	tree, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestAFileGoesThroughProcesses stages a file of three blocks, each step in a store of its own as in other processes, and repeats each.
func TestAFileGoesThroughProcesses(t *testing.T) {
	site := boot(t)
	const part = 1000
	blocks, apart, empty := site.root(), site.root(), site.root()
	t.Run("Blocks", func(t *testing.T) {
		throughProcesses(t, part, func() filecopy.Target { return site.at(t, blocks, part) })
	})
	t.Run("Apart", func(t *testing.T) {
		throughProcesses(t, part, func() filecopy.Target { return site.at(t, apart, part).Legible() })
	})
	t.Run("Empty", func(t *testing.T) {
		emptyThroughProcesses(t, func() *blob.Store { return site.at(t, empty, part) })
	})
}

// emptyThroughProcesses does so with an empty file: it can be shown as long as what it is copied from is there, and only over what it was expected to
// replace.
func emptyThroughProcesses(t *testing.T, open func() *blob.Store) {
	file, sum := filecopy.Entry{Path: "d/_SUCCESS", Kind: filecopy.File}, filecopy.SumOf(0)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := open().Begin(t.Context(), "lot", file)
	must(err)
	var sealed filecopy.Sealed
	for range 2 {
		must(open().Write(t.Context(), h, filecopy.Part{}, strings.NewReader("")))
		sealed, err = open().Seal(t.Context(), h, file, sum)
		if err != nil || sealed.Sum != sum || sealed.Proof != filecopy.ProofServer {
			t.Fatalf("sealed = %+v, %v", sealed, err)
		}
	}
	view, err := open().Open(t.Context(), filecopy.Pin{})
	must(err)
	if _, err := view.Stat(t.Context(), file.Path); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("what is staged is visible: %v", err)
	}
	fresh, err := open().Expect(t.Context(), sealed, file)
	must(err)
	for range 2 {
		version, err := open().Publish(t.Context(), fresh, file)
		must(err)
		if e, err := view.Stat(t.Context(), file.Path); err != nil || e.Version != version || e.Size != 0 || e.Sum != sum {
			t.Fatalf("stat = %+v, %v, want version %q", e, err, version)
		}
	}
	other := filecopy.Handle(strings.Replace(string(h), "lot~", "lot~other", 1))
	late, err := open().Seal(t.Context(), other, file, sum)
	must(err)
	late.Identity += " -"
	if _, err := open().Publish(t.Context(), late, file); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("publish where nothing was to be = %v", err)
	}
	must(open().Discard(t.Context(), "lot"))
	must(open().Retire(t.Context(), file.Path, "20200101T000000Z-x-1"))
	if _, err := open().Publish(t.Context(), fresh, file); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("publish of what is gone = %v", err)
	}
}

func throughProcesses(t *testing.T, part int, open func() filecopy.Target) {
	data := []byte(strings.Repeat("0123456789", 2*part/10) + "end")
	file := filecopy.Entry{Path: "d/large", Kind: filecopy.File, Size: int64(len(data))}
	sum := filecopy.SumOf(0).Extend(data)
	write := func(h filecopy.Handle, number int) error {
		piece := data[number*part : min((number+1)*part, len(data))]
		return open().Write(t.Context(), h, filecopy.Part{Number: number, Size: int64(len(piece))}, bytes.NewReader(piece))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := open().Begin(t.Context(), "lot", file)
	must(err)
	if _, err := open().Seal(t.Context(), h, file, sum); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("seal of nothing = %v", err)
	}
	must(write(h, 2))
	must(write(h, 0))
	if _, err := open().Seal(t.Context(), h, file, sum); !errors.Is(err, filecopy.ErrCorrupt) {
		t.Errorf("seal without the middle = %v", err)
	}
	must(write(h, 1))
	must(write(h, 0))
	sealed, err := open().Seal(t.Context(), h, file, sum)
	if err != nil || sealed.Sum != sum || sealed.Proof != filecopy.ProofServer {
		t.Fatalf("sealed = %+v, %v", sealed, err)
	}
	again, err := open().Seal(t.Context(), h, file, sum)
	if err != nil || again != sealed {
		t.Errorf("sealed again = %+v, %v", again, err)
	}
	view, err := open().Open(t.Context(), filecopy.Pin{})
	must(err)
	if _, err := view.Stat(t.Context(), file.Path); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("what is staged is visible: %v", err)
	}
	for range 2 {
		version, err := open().Publish(t.Context(), sealed, file)
		must(err)
		e, err := view.Stat(t.Context(), file.Path)
		if err != nil || e.Version != version || e.Size != file.Size || e.Sum != sum {
			t.Fatalf("stat = %+v, %v, want version %q", e, err, version)
		}
		readsFrom(t, view, e, data, 0, 1, int64(part), file.Size-1, file.Size)
	}
	must(open().Discard(t.Context(), "lot"))
	must(open().Retire(t.Context(), file.Path, "20200101T000000Z-x-1"))
	if _, err := open().Publish(t.Context(), sealed, file); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("publish of what is gone = %v", err)
	}
}

// readsFrom reads a file from offsets to its end.
func readsFrom(t *testing.T, view filecopy.View, e filecopy.Entry, data []byte, offsets ...int64) {
	t.Helper()
	for _, offset := range offsets {
		r, err := view.Read(t.Context(), e, offset)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, data[offset:]) {
			t.Errorf("read from %d = %d bytes, %v", offset, len(b), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRottenBlobsAreFound puts other content under what a blob says about itself.
func TestRottenBlobsAreFound(t *testing.T) {
	site := boot(t)
	source := site.tree(t, 0)
	sum := fmt.Sprint(filecopy.SumOf(0).Extend([]byte("good")))
	root := source.Describe().Name[strings.Index(source.Describe().Name, lake)+len(lake)+1:]
	put := func(content string) {
		t.Helper()
		_, err := site.client.NewBlockBlobClient(root+"/file").UploadStream(t.Context(), strings.NewReader(content), nil)
		if err == nil {
			_, err = site.client.NewBlockBlobClient(root+"/file").SetMetadata(t.Context(), map[string]*string{"understudycrc32c": &sum}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	job := filecopy.Job{Name: "rotten", Source: source, Target: filecopytest.NewMemory("target", false)}
	put("evil")
	_, err := native.New(t.TempDir()).Run(t.Context(), job, nil)
	wants(t, "US606", err)
	put("good")
	if _, err := native.New(t.TempDir()).Run(t.Context(), job, nil); err != nil {
		t.Error(err)
	}
}

// TestNamesThatAreNoPathsAreRefused puts blobs whose names the service allows.
func TestNamesThatAreNoPathsAreRefused(t *testing.T) {
	site := boot(t)
	for _, names := range [][]string{{"a//b"}, {"dir/"}, {"x", "x-y", "x/y"}} {
		source := site.tree(t, 0)
		root := source.Describe().Name[strings.Index(source.Describe().Name, lake)+len(lake)+1:]
		for _, n := range names {
			if _, err := site.client.NewBlockBlobClient(root+"/"+n).UploadStream(t.Context(), strings.NewReader("x"), nil); err != nil {
				t.Fatal(err)
			}
		}
		view, err := source.Open(t.Context(), filecopy.Pin{})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, "US630", view.List(t.Context(), "", func(filecopy.Entry) error { return nil }))
	}
}

func wants(t *testing.T, code understudy.Code, err error) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for _, c := range []blob.Config{
		{URL: "https://a.example.com", Keys: labKeys},
		{URL: "https://a.example.com", Container: lake},
		{URL: "a.example.com", Keys: labKeys, Container: lake},
		{URL: "https://u:p@a.example.com", Keys: labKeys, Container: lake},
		{URL: "https://a.example.com?sig=x", Keys: labKeys, Container: lake},
		{URL: "https://a.example.com", Keys: labKeys, Container: lake, Root: "a//b"},
		{URL: "https://a.example.com", Keys: labKeys, Container: lake, Root: "a", Area: "a/below"},
		{URL: "https://a.example.com", Keys: labKeys, Container: lake, Root: "a", PartSize: 1 << 30},
	} {
		if _, err := blob.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestNamesAndSizesAreChecked(t *testing.T) {
	s, err := blob.New(blob.Config{URL: "https://a.example.com", Keys: labKeys, Container: lake})
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[filecopy.Path]bool{
		"": true, "a/b": true, "é": true, "a:b": true, "~": true, ".a": true, filecopy.Path(strings.Repeat("n", 800)): true,
		"\xff": false, "a\x01": false, "\ufffd": false, "a//b": false, "..": false, "a.": false, "a./b": false, `a\b`: false,
		".understudy/x": false, filecopy.Path(strings.Repeat("n", 801)): false,
	} {
		err := s.CheckName(name)
		if (err == nil) != good || err != nil && !errors.Is(err, filecopy.ErrName) {
			t.Errorf("CheckName(%.40q) = %v", name, err)
		}
	}
	for size, want := range map[int64]int64{0: 16 << 20, 1 << 40: 21 << 20, 800_000 << 20: 16 << 20} {
		if got := s.Describe().Capabilities.PartSize(size); got != want {
			t.Errorf("parts of a file of %d bytes have %d", size, got)
		}
	}
	_, err = s.Begin(t.Context(), "lot", filecopy.Entry{Path: "a", Size: 50_000*4000<<20 + 1})
	wants(t, "US632", err)
}
