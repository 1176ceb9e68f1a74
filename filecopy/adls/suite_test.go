package adls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	lab "github.com/understudy-dr/understudy/lab/adls"
)

const lake = "lake"

// site is one account with a file system.
type site struct {
	*lab.Account
	client *filesystem.Client
	made   atomic.Int64
}

func boot(t *testing.T, c lab.Config) *site {
	t.Helper()
	a := lab.Host(t, c)
	return &site{Account: a, client: client(t, a.Endpoint())}
}

// client is the official SDK alone, on a file system that it makes.
func client(t *testing.T, endpoint string) *filesystem.Client {
	t.Helper()
	key, err := azdatalake.NewSharedKeyCredential(lab.AccountName, lab.Key())
	must(t, err)
	c, err := filesystem.NewClientWithSharedKeyCredential(endpoint+"/"+lake, key, nil)
	must(t, err)
	_, err = c.Create(t.Context(), nil)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func labKeys(context.Context) (adls.Keys, error) {
	return adls.Keys{Account: lab.AccountName, Key: lab.Key()}, nil
}

// at gives a store of a directory, which need not be there.
func at(t *testing.T, endpoint, root string, change ...func(*adls.Config)) *adls.Store {
	t.Helper()
	c := adls.Config{URL: endpoint, Keys: labKeys, FileSystem: lake, Root: root}
	for _, f := range change {
		f(&c)
	}
	store, err := adls.New(c)
	must(t, err)
	return store
}

// tree makes a store of a directory that nobody used before.
func (s *site) tree(t *testing.T, change ...func(*adls.Config)) *adls.Store {
	t.Helper()
	store := at(t, s.Endpoint(), fmt.Sprintf("t%d/tree", s.made.Add(1)), change...)
	must(t, store.MakeDirectory(t.Context(), filecopy.Entry{Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
	return store
}

func smallParts(c *adls.Config) { c.PartSize = 1000 }

func noOwners(c *adls.Config) { c.NoOwners = true }

// TestSuiteOnADLS runs the suite on our own server, in both directions, with files of one append and of several, and with listings in small
// pages. Local trees do not know the owners of an account.
func TestSuiteOnADLS(t *testing.T) {
	s := boot(t, lab.Config{Page: 50})
	memory := func(*testing.T) filecopy.Target { return filecopytest.NewMemory("memory", true) }
	stored := func(change ...func(*adls.Config)) func(*testing.T) filecopy.Target {
		return func(t *testing.T) filecopy.Target { return s.tree(t, change...) }
	}
	for _, c := range []struct {
		name           string
		source, target func(*testing.T) filecopy.Target
		stride         int
	}{
		{"FromADLS", stored(noOwners), folder, 17},
		{"BetweenADLS", stored(), stored(smallParts), 17},
		{"ToADLS", memory, stored(noOwners, smallParts), 17},
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
	must(t, os.Mkdir(root, 0o755))
	tree, err := local.New(local.Config{Root: root})
	must(t, err)
	return tree
}

// TestAFileGoesThroughProcesses stages a file of three appends, each step in a store of its own as in other processes, and repeats each.
func TestAFileGoesThroughProcesses(t *testing.T) {
	site := boot(t, lab.Config{})
	const part = 1000
	open := func() *adls.Store { return at(t, site.Endpoint(), "large/tree", smallParts) }
	must(t, open().MakeDirectory(t.Context(), filecopy.Entry{Path: "d", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
	data := []byte(strings.Repeat("0123456789", 2*part/10) + "end")
	file := filecopy.Entry{Path: "d/large", Kind: filecopy.File, Size: int64(len(data)), Attributes: filecopy.Attributes{Mode: 0o640}}
	sum := filecopy.SumOf(0).Extend(data)
	write := func(h filecopy.Handle, number int) error {
		piece := data[number*part : min((number+1)*part, len(data))]
		return open().Write(t.Context(), h, filecopy.Part{Number: number, Offset: int64(number * part), Size: int64(len(piece))}, bytes.NewReader(piece))
	}
	h, err := open().Begin(t.Context(), "lot", file)
	must(t, err)
	absent := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, filecopy.ErrNotFound) {
			t.Errorf("%s = %v", what, err)
		}
	}
	_, err = open().Seal(t.Context(), h, file, sum)
	absent("seal of nothing", err)
	must(t, write(h, 0))
	absent("the end before the middle", write(h, 2))
	must(t, write(h, 1))
	must(t, write(h, 1))
	if _, err := open().Seal(t.Context(), h, file, sum); !errors.Is(err, filecopy.ErrCorrupt) {
		t.Errorf("seal without the end = %v", err)
	}
	must(t, write(h, 2))
	must(t, write(h, 2))
	other := bytes.NewReader([]byte("END"))
	absent("other bytes", open().Write(t.Context(), h, filecopy.Part{Number: 2, Offset: 2 * part, Size: 3}, other))
	sealed, err := open().Seal(t.Context(), h, file, sum)
	if err != nil || sealed.Proof != filecopy.ProofNone {
		t.Fatalf("sealed = %+v, %v", sealed, err)
	}
	back, err := open().ReadSealed(t.Context(), sealed)
	must(t, err)
	if b, err := io.ReadAll(back); err != nil || !bytes.Equal(b, data) {
		t.Errorf("read back %d bytes, %v", len(b), err)
	}
	must(t, back.Close())
	publishes(t, open, sealed, file, data)
	must(t, open().Retire(t.Context(), file.Path, "20200101T000000Z-x-1"))
	_, err = open().Publish(t.Context(), sealed, file)
	absent("publish of what is gone", err)
}

// publishes publishes a file twice, and reads it from here and there.
func publishes(t *testing.T, open func() *adls.Store, sealed filecopy.Sealed, file filecopy.Entry, data []byte) {
	t.Helper()
	view, err := open().Open(t.Context(), filecopy.Pin{})
	must(t, err)
	if _, err := view.Stat(t.Context(), file.Path); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("what is staged is visible: %v", err)
	}
	for range 2 {
		version, err := open().Publish(t.Context(), sealed, file)
		must(t, err)
		e, err := view.Stat(t.Context(), file.Path)
		if err != nil || e.Version != version || e.Size != file.Size || e.Sum != filecopy.SumOf(0).Extend(data) || e.Mode != 0o640 {
			t.Fatalf("stat = %+v, %v, want version %q", e, err, version)
		}
		for _, offset := range []int64{0, 1, 1000, file.Size - 1, file.Size} {
			r, err := view.Read(t.Context(), e, offset)
			must(t, err)
			if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, data[offset:]) {
				t.Errorf("read from %d = %d bytes, %v", offset, len(b), err)
			}
			must(t, r.Close())
		}
	}
}

// TestRottenFilesAreFound damages a file in the server, behind its back.
func TestRottenFilesAreFound(t *testing.T) {
	site := boot(t, lab.Config{})
	source := site.tree(t)
	put(t, source, "file", "good")
	job := filecopy.Job{Name: "rotten", Source: source, Target: filecopytest.NewMemory("target", false)}
	must(t, site.Damage(lake, "t1/tree/file"))
	_, err := native.New(t.TempDir()).Run(t.Context(), job, nil)
	wants(t, "US606", err)
	must(t, site.Damage(lake, "t1/tree/file"))
	_, err = native.New(t.TempDir()).Run(t.Context(), job, nil)
	must(t, err)
}

// put writes a file by way of the contract.
func put(t *testing.T, s *adls.Store, p filecopy.Path, content string) {
	t.Helper()
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(content)), Attributes: filecopy.Attributes{Mode: 0o644}}
	h, err := s.Begin(t.Context(), "put", e)
	must(t, err)
	must(t, s.Write(t.Context(), h, filecopy.Part{Size: e.Size}, strings.NewReader(content)))
	sealed, err := s.Seal(t.Context(), h, e, filecopy.SumOf(0).Extend([]byte(content)))
	must(t, err)
	_, err = s.Publish(t.Context(), sealed, e)
	must(t, err)
}

func wants(t *testing.T, code understudy.Code, err error) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for _, c := range []adls.Config{
		{URL: "https://a.example.com", Keys: labKeys},
		{URL: "https://a.example.com", FileSystem: lake},
		{URL: "a.example.com", Keys: labKeys, FileSystem: lake},
		{URL: "https://u:p@a.example.com", Keys: labKeys, FileSystem: lake},
		{URL: "https://a.example.com?sig=x", Keys: labKeys, FileSystem: lake},
		{URL: "https://a.example.com", Keys: labKeys, FileSystem: lake, Root: "a//b"},
		{URL: "https://a.example.com", Keys: labKeys, FileSystem: lake, Root: `a\b`},
		{URL: "https://a.example.com", Keys: labKeys, FileSystem: lake, Root: "a", Area: "a/below"},
		{URL: "https://a.example.com", Keys: labKeys, FileSystem: lake, Root: "a", PartSize: 1 << 30},
	} {
		if _, err := adls.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestNamesAndSizesAreChecked(t *testing.T) {
	s := at(t, "https://a.example.com", "")
	for name, good := range map[filecopy.Path]bool{
		"": true, "a/b": true, "é": true, "a:b": true, "~": true, ".a": true, "a?b": true, "a%b": true, filecopy.Path(strings.Repeat("n", 255)): true,
		"\xff": false, "a\x01": false, "\ufffd": false, "a//b": false, "..": false, "a.": false, "a./b": false, `a\b`: false, "a\nb": false,
		".understudy/x": false, filecopy.Path(strings.Repeat("n", 256)): false, filecopy.Path(strings.Repeat("d/", 60) + "d"): false,
		filecopy.Path(strings.Repeat("n23456789/", 100) + "n"): false,
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
	_, err := s.Begin(t.Context(), "lot", filecopy.Entry{Path: "a", Size: 4<<40 + 1})
	wants(t, "US642", err)
}
