package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy/filecopy"
)

func TestItemsSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := item{
			Op: op(rapid.IntRange(0, 7).Draw(t, "op")), Gone: rapid.Bool().Draw(t, "gone"), First: rapid.Bool().Draw(t, "first"),
			Deep: rapid.Bool().Draw(t, "deep"), Inherits: rapid.Bool().Draw(t, "inherits"), TargetVersion: rapid.String().Draw(t, "version"), Before: rapid.Int64().Draw(t, "before"),
			From: filecopy.Path(rapid.String().Draw(t, "from")),
		}
		want.Path = filecopy.Path(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		want.Kind, want.Size = filecopy.EntryKind(rapid.IntRange(0, 3).Draw(t, "kind")), rapid.Int64().Draw(t, "size")
		want.Owner, want.Mode, want.Modified = rapid.String().Draw(t, "owner"), rapid.Uint32().Draw(t, "mode"), rapid.Int64().Draw(t, "modified")
		want.ACL = rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "acl")
		want.Xattrs = []filecopy.Xattr{{Name: "user.a", Value: rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "value")}}
		want.StoragePolicy, want.Link = rapid.String().Draw(t, "policy"), rapid.String().Draw(t, "link")
		if rapid.Bool().Draw(t, "sums") {
			want.Sum, want.Expect = filecopy.SumOf(rapid.Uint32().Draw(t, "sum")), filecopy.SumOf(7)
			want.Sealed = filecopy.Sealed{Handle: "h", Identity: "i", Proof: filecopy.ProofServer, Sum: filecopy.SumOf(9)}
		}
		got, err := readItem(&cursor{rest: appendItem(nil, &want)})
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
}

func FuzzItemsFromBytes(f *testing.F) {
	f.Add(appendItem(nil, &item{Entry: filecopy.Entry{Path: "a/b", Kind: filecopy.File}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := readItem(&cursor{rest: b})
		if err != nil {
			return
		}
		if _, err := readItem(&cursor{rest: appendItem(nil, &it)}); err != nil {
			t.Errorf("%+v does not survive: %v", it, err)
		}
	})
}

// segment makes a segment of n items in memory.
func segment(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := newSegmentWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.add(&item{Entry: filecopy.Entry{Path: filecopy.Path(fmt.Sprintf("f%06d", i))}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.end(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readAll(b []byte) (int, error) {
	r, err := newSegmentReader(bytes.NewReader(b), "")
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		if _, ok, err := r.next(); err != nil || !ok {
			return n, err
		}
	}
}

// TestDamagedSegmentsAreRefused flips each byte of a segment, and cuts it at each.
func TestDamagedSegmentsAreRefused(t *testing.T) {
	good := segment(t, 100)
	if n, err := readAll(good); n != 100 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, err := readAll(bad); err == nil {
			t.Errorf("byte %d flipped, and nobody noticed", i)
		}
		if _, err := readAll(good[:i]); !errors.Is(err, errTorn) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func TestSorterSortsWithLittleMemory(t *testing.T) {
	dir := t.TempDir()
	s := newSorter(dir, "x", 2048)
	const n = 5000
	for _, i := range rand.Perm(n) {
		if err := s.add(&item{Entry: filecopy.Entry{Path: filecopy.Path(fmt.Sprintf("d%d/f%d", i%7, i)), Size: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n / 2 {
		if err := s.add(&item{Entry: filecopy.Entry{Path: filecopy.Path(fmt.Sprintf("d%d/f%d", i%7, i)), Size: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.runs) <= maxRuns {
		t.Fatalf("%d runs are not enough to test merging", len(s.runs))
	}
	out, err := s.sorted()
	if err != nil {
		t.Fatal(err)
	}
	count, later := 0, 0
	var last filecopy.Path
	for it, ok, err := out.next(); ok || err != nil; it, ok, err = out.next() {
		if err != nil {
			t.Fatal(err)
		}
		if count > 0 && last.Compare(it.Path) >= 0 {
			t.Fatalf("%q after %q", it.Path, last)
		}
		last = it.Path
		count++
		if it.Size == 2 {
			later++
		}
	}
	out.close()
	if count != n || later != n/2 {
		t.Errorf("%d items, %d of them later ones", count, later)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSortedInputMakesOneRun(t *testing.T) {
	s := newSorter(t.TempDir(), "x", 2048)
	for i := range 5000 {
		if err := s.add(&item{Entry: filecopy.Entry{Path: filecopy.Path(fmt.Sprintf("f%08d", i))}}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.sorted()
	if err != nil || len(s.runs) != 1 {
		t.Errorf("%d runs, %v", len(s.runs), err)
	}
	out.close()
}

// TestTornJournalCountsToItsTear cuts a journal at every byte: what comes before the tear is read, nothing else, and appending goes on.
func TestTornJournalCountsToItsTear(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir, func(record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var ends []int64
	for i := range int64(6) {
		r := record{Kind: recordPart, Seq: i, Number: 1, Size: 2, Sum: filecopy.SumOf(3)}
		if i%2 == 1 {
			r = record{Kind: recordSealed, Seq: i, Item: item{Entry: filecopy.Entry{Path: "p"}}}
		}
		if err := j.append(&r); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.written)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, journalName(0)))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		want := 0
		for _, e := range ends {
			if e <= int64(cut) {
				want++
			}
		}
		got := 0
		err := replay(io.Reader(bytes.NewReader(whole[:cut])), func(r record) error {
			if r.Seq != int64(got) {
				t.Errorf("record %d has place %d", got, r.Seq)
			}
			got++
			return nil
		})
		if err != nil || got != want {
			t.Errorf("cut at %d: %d records, %v; want %d", cut, got, err, want)
		}
	}
	count := 0
	if _, err := openJournal(dir, func(record) error { count++; return nil }); err != nil || count != 6 {
		t.Errorf("%d records, %v", count, err)
	}
}

func TestBandwidthByTimeOfDay(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	windows := []filecopy.Window{
		{From: 8 * time.Hour, To: 18 * time.Hour, Location: berlin, BytesPerSecond: 10},
		{From: 22 * time.Hour, To: 4 * time.Hour, Location: berlin},
		{BytesPerSecond: 50},
	}
	for clock, want := range map[string]int64{"06:59": 50, "07:00": 10, "16:59": 10, "17:00": 50, "21:00": 0, "23:30": 0, "02:59": 0, "03:00": 50} {
		at, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := bandwidth(windows, at); got != want {
			t.Errorf("at %s UTC: %d, want %d", clock, got, want)
		}
	}
	if got := bandwidth(nil, time.Now()); got != 0 {
		t.Errorf("without windows: %d", got)
	}
}

// TestGateFindsWhatPays simulates a store that is fastest with ten files at once, and one that gets slower with each.
func TestGateFindsWhatPays(t *testing.T) {
	for name, c := range map[string]struct {
		speed     func(n int) float64
		low, high int
	}{
		"best with ten":   {func(n int) float64 { return float64(min(n, 20-n)) }, 6, 14},
		"best with one":   {func(n int) float64 { return 1 / float64(n) }, 1, 4},
		"more is better":  {func(n int) float64 { return float64(n) }, 40, maxWorkers},
		"nothing matters": {func(int) float64 { return 5 }, 1, maxWorkers},
	} {
		if mean, _ := climb(t, c.speed, 0); mean < c.low || mean > c.high {
			t.Errorf("%s: %d files at once, want %d to %d", name, mean, c.low, c.high)
		}
	}
}

// TestGateIsNotWornDown measures a throughput that is never the same twice: what the store can do is used all the same, and not more files
// at once than that takes.
func TestGateIsNotWornDown(t *testing.T) {
	knee := func(n int) float64 { return 200 * min(1, float64(n)/24) }
	mean, speed := climb(t, knee, 0.1)
	if speed < 180 || mean < 20 || mean > 44 {
		t.Errorf("%.0f of 200 files a second, with %d at once where 24 are enough", speed, mean)
	}
}

// climb sends files through a gate to a store with the given speed, give or take some noise in each second, and gives the mean limit of the second half,
// and the mean speed.
func climb(t *testing.T, speed func(n int) float64, noise float64) (int, float64) {
	t.Helper()
	begun := time.Unix(0, 0)
	now := begun
	g := newGate(0, 0, func() time.Time { return now })
	random := rand.New(rand.NewPCG(1, 2))
	const files = 40000
	sum := 0
	second, luck := int64(-1), 1.0
	for i := range files {
		n := g.allowed()
		if i >= files/2 {
			sum += n
		}
		if err := g.enter(context.Background()); err != nil {
			t.Fatal(err)
		}
		if now.Unix() != second {
			second, luck = now.Unix(), math.Exp(noise*random.NormFloat64())
		}
		now = now.Add(time.Duration(float64(time.Second) / max(speed(n)*luck, 0.01)))
		g.leave(fileCost, false)
	}
	return sum / (files / 2), files / now.Sub(begun).Seconds()
}

func TestGateHalvesForABusyStore(t *testing.T) {
	g := newGate(2, 16, time.Now)
	for range 5 {
		if err := g.enter(context.Background()); err != nil {
			t.Fatal(err)
		}
		g.leave(0, true)
	}
	if g.allowed() != 2 {
		t.Errorf("%d files at once", g.allowed())
	}
	ctx, cancel := context.WithCancel(context.Background())
	for range 2 {
		if err := g.enter(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := g.enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("enter with an ended context = %v", err)
	}
}

func TestPrincipalsAreMapped(t *testing.T) {
	names := filecopy.Principals{Users: map[string]string{"ada": "ada.west"}, Groups: map[string]string{"etl": "loaders"}}
	e := filecopy.Entry{Attributes: filecopy.Attributes{Owner: "ada", Group: "etl", ACL: []string{"user:ada:rwx", "default:group:etl:r-x", "group::r--", "user:bob:r--"}}}
	got := translate(e, names)
	want := []string{"default:group:loaders:r-x", "group::r--", "user:ada.west:rwx", "user:bob:r--"}
	if got.Owner != "ada.west" || got.Group != "loaders" || fmt.Sprint(got.ACL) != fmt.Sprint(want) {
		t.Errorf("mapped = %+v", got)
	}
	if e.ACL[0] != "user:ada:rwx" {
		t.Error("the entry itself was changed")
	}
}
