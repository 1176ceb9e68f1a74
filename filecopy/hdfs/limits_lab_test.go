package hdfs_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// wideEntries makes the wide directory wider than a run of all tests can afford.
const wideEntries = "UNDERSTUDY_WIDE"

// makes writes a file of a few bytes through our client: Hadoop's own refuses names that its servers take.
func (r *trial) makes(path, content string) {
	r.Helper()
	w, err := r.east.client.Create(r.Context(), r.from+"/"+path, wire.CreateOptions{Parents: true})
	r.must(err)
	_, err = w.Write([]byte(content))
	r.must(err)
	r.must(w.Close())
}

// alike lets our own client compare both trees by path, kind, length, mode, owner and time, and gives their number.
func (r *trial) alike() int {
	r.Helper()
	n := 0
	look := func(s *site, root string) map[string]string {
		seen := map[string]string{}
		r.must(s.client.Walk(r.Context(), root, wire.ListOptions{}, func(f *wire.FileInfo) error {
			if p := strings.TrimPrefix(f.Path, root); p != "" {
				seen[p] = fmt.Sprintf("%v %d %o %s %d", f.Type, f.Length, f.Mode, f.Owner, f.ModTime.UnixMilli())
			}
			return nil
		}))
		return seen
	}
	both := look(r.west, r.to)
	for p, want := range look(r.east, r.from) {
		n++
		if both[p] != want {
			r.Errorf("%.200q is %q, want %q", p, both[p], want)
		}
		delete(both, p)
	}
	for p := range both {
		r.Errorf("%.200q is at the target only", p)
	}
	return n
}

// leads gives, for each byte that begins a character of several in UTF-8, those whose other bytes are at either end of their ranges (RFC 3629, section 4),
// which leave out surrogates.
func leads() map[byte]string {
	all := map[byte]string{}
	for lead := byte(0xc2); lead <= 0xf4; lead++ {
		low, high := byte(0x80), byte(0xbf)
		switch lead {
		case 0xe0:
			low = 0xa0
		case 0xed:
			high = 0x9f
		case 0xf0:
			low = 0x90
		case 0xf4:
			high = 0x8f
		}
		chars := []string{string([]byte{lead, low}), string([]byte{lead, high})}
		for _, longer := range []byte{0xe0, 0xf0} {
			if lead < longer {
				continue
			}
			var more []string
			for _, c := range chars {
				more = append(more, c+"\x80", c+"\xbf")
			}
			chars = more
		}
		all[lead] = strings.Join(chars, "")
	}
	return all
}

// TestEveryLegalByte copies names with every character that HDFS takes, below U+0250, with every byte that UTF-8 may begin or end with, and some from
// everywhere else.
func TestEveryLegalByte(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	// Sixteen in one name cost one file. Only '/', ':' and 0 are not in any (DFSUtil.isValidName).
	for first := rune(0); first < 0x250; first += 16 {
		name := fmt.Sprintf("n%03x-", first)
		for c := first; c < first+16; c++ {
			if c != 0 && c != '/' && c != ':' {
				name += string(c)
			}
		}
		r.makes(name, name)
	}
	for lead, name := range leads() {
		if !utf8.ValidString(name) {
			t.Errorf("%x: %q", lead, name)
		}
		r.makes(fmt.Sprintf("u%02x-%s", lead, name), name)
	}
	if _, err := r.east.client.Create(t.Context(), r.from+"/a:b", wire.CreateOptions{}); err == nil {
		t.Error("the NameNode takes a colon")
	}
	for _, name := range []string{"日本語", "e\u0301", "\u00e9", "\U0001d11e", "\uffff", "\u200b", " ", "...", ".hidden", "~", "-", `\`, "a\\b", "%2F", "+", "#frag?q=1&x", strings.Repeat("é", 127) + "x"} {
		r.makes("dir/"+name, name)
		r.makes("dirs/"+name+"/below", name)
	}
	r.runs()
	t.Logf("%d entries", r.alike())
}

// TestAsDeepAsHDFSAllows copies a tree of a thousand levels, and one whose paths have almost 8,000 bytes, and then deletes both: in the quarantine
// they would lie deeper still.
func TestAsDeepAsHDFSAllows(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	levels := 1000 - strings.Count(r.from, "/")
	deep := strings.Repeat("d/", levels-1) + "f"
	r.makes(deep, "deep")
	element := strings.Repeat("x", 255)
	long := strings.Repeat(element+"/", (8000-len(r.from)-10)/256) + "f"
	r.makes(long, "long")
	r.makes("short", "short")
	// Files of a snapshot are written where their new directory is put together. This chain is too deep for that, so what comes behind it is shown
	// before its attributes are set.
	r.must(r.east.client.AllowSnapshots(t.Context(), r.from))
	source, err := hdfs.New(hdfs.Config{Client: r.east.client, Namespace: r.east.name, Root: r.from, PartSize: 4 << 20, Snapshots: true})
	r.must(err)
	r.job.Source = source
	r.makes("d/late", "late")
	if _, err := r.east.client.Create(t.Context(), r.from+"/d/"+deep, wire.CreateOptions{Parents: true}); err == nil {
		t.Error("the tree is not as deep as it can be")
	}
	r.runs()
	t.Logf("%d entries", r.alike())
	for _, p := range []string{deep, long} {
		r.must(r.east.client.Delete(t.Context(), r.from+"/"+p, false))
	}
	r.runs()
	r.alike()
	r.must(r.east.client.Delete(t.Context(), r.from+"/d", true))
	r.must(r.east.client.Delete(t.Context(), r.from+"/"+element, true))
	r.job.Guard.MaxDeletes = 2000
	r.runs()
	if n := r.alike(); n != 1 {
		t.Errorf("%d entries are left", n)
	}
	all, err := judge(t).List(t.Context(), r.west.cluster.Access(), strings.TrimSuffix(r.to, "tree")+".tree.understudy/quarantine")
	r.must(err)
	files := 0
	for _, e := range all.Entries {
		if e.Type == labhdfs.Regular {
			files++
		}
	}
	if files != 3 {
		t.Errorf("%d files in the quarantine: %.500v", files, all.Paths())
	}
}

// TestAWideDirectory copies a directory with more entries than fit into many pages of a listing. HDFS allows 1,048,576.
func TestAWideDirectory(t *testing.T) {
	n := 1500
	if more, err := strconv.Atoi(os.Getenv(wideEntries)); err == nil {
		n = more
	}
	r := newTrial(t, wire.Options{}, wire.Options{})
	begun := time.Now()
	r.must(r.east.client.Mkdir(t.Context(), r.from+"/wide", 0o755))
	var group errgroup.Group
	group.SetLimit(64)
	for i := range n {
		group.Go(func() error {
			return r.east.client.Mkdir(t.Context(), fmt.Sprintf("%s/wide/entry-%07d", r.from, i), 0o750)
		})
	}
	r.must(group.Wait())
	made := time.Now()
	r.job.Guard = filecopy.Guard{}
	r.runs()
	t.Logf("%d entries made in %v and copied in %v", n, made.Sub(begun).Round(time.Millisecond), time.Since(made).Round(time.Millisecond))
	if got := r.alike(); got != n+1 {
		t.Errorf("%d entries of %d", got, n+1)
	}
}

// TestAsWideAsHDFSAllows copies directories with as many entries as the NameNode of the target takes in one, and retires them: as a whole, and entry by
// entry. Of a new directory with one file more nothing is shown, and what was to do is said; so it is, at last, of one that grew where readers see it,
// and the run goes on when the limit is raised.
func TestAsWideAsHDFSAllows(t *testing.T) {
	const most = 200
	east := sites(t, "east")[0]
	limit := func(n int) map[string]string {
		return map[string]string{"dfs.namenode.fs-limits.max-directory-items": strconv.Itoa(n)}
	}
	narrow := labhdfs.Boot(t, labhdfs.Options{Name: "narrow", DataNodes: 1, Properties: limit(most)})
	west := &site{name: "narrow", cluster: narrow}
	west.client = west.dial(t, wire.Options{User: labhdfs.Superuser})
	r := trialOf(t, east, west, wire.Options{}, wire.Options{})
	r.still(wire.Options{})
	r.job.Guard.MaxDeletes = 3 * most
	r.fills("files", 0, most, false)
	r.fills("folders", 0, most, true)
	r.fills("emptied", 0, most, false)
	r.makes("aside/f", "aside")
	r.runs()
	if n := r.alike(); n != 3*most+5 {
		t.Errorf("%d entries", n)
	}
	for i := range most {
		r.must(east.client.Delete(t.Context(), fmt.Sprintf("%s/emptied/%07d", r.from, i), false))
	}
	r.must(east.client.Delete(t.Context(), r.from+"/files", true))
	r.runs()
	r.alike()
	// The first of two new directories could be shown, if the second were not found too wide before.
	r.makes("first/f", "first")
	r.fills("second", 0, most+1, false)
	before := r.shows()
	err := r.fails("US621")
	t.Log(err)
	if !strings.Contains(err.Error(), "/second") || !strings.Contains(err.Error(), fmt.Sprintf("limit=%d", most)) {
		t.Errorf("it does not say which directory, or how many it takes: %v", err)
	}
	if r.shows() != before {
		t.Error("readers see something of a set with a directory that is too wide")
	}
	r.must(east.client.Delete(t.Context(), r.from+"/second/0000000", false))
	// What was begun under no name is not gone on with.
	r.job.Run = "next"
	r.runs()
	r.alike()
	r.job.Run = ""
	r.fills("emptied", 0, most+1, false)
	err = r.fails("US621")
	t.Log(err)
	if !strings.Contains(err.Error(), r.to+"/emptied is exceeded: limit=") || !strings.Contains(understudy.AsError(err).Fix, "max-directory-items") {
		t.Errorf("it does not say which directory takes no more: %v", err)
	}
	for name, value := range limit(most + 1) {
		narrow.Set(name, value)
	}
	r.must(narrow.Restart(t.Context()))
	r.runs()
	r.alike()
}

// fills makes empty files in a directory, or directories, from a number to another.
func (r *trial) fills(dir string, from, to int, folders bool) {
	r.Helper()
	r.must(r.east.client.Mkdirs(r.Context(), r.from+"/"+dir, 0o755))
	var group errgroup.Group
	group.SetLimit(32)
	for i := from; i < to; i++ {
		group.Go(func() error {
			at := fmt.Sprintf("%s/%s/%07d", r.from, dir, i)
			if folders {
				return r.east.client.Mkdir(r.Context(), at, 0o750)
			}
			w, err := r.east.client.Create(r.Context(), at, wire.CreateOptions{})
			if err != nil {
				return err
			}
			return w.Close()
		})
	}
	r.must(group.Wait())
}

// TestLinksAreKeptInTheManifest copies a tree with a symbolic link, which HDFS can only have where an operator switched them on: the other side
// has no place for it, and is right all the same. A link that becomes a file is copied, and one that a file became takes it away.
func TestLinksAreKeptInTheManifest(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	r.makes("d/f", "data")
	link := func(name string) {
		r.must(r.east.client.Symlink(t.Context(), r.from+"/d/f", r.from+"/"+name))
	}
	shown := func(name string) bool {
		_, err := r.west.client.Stat(t.Context(), r.to+"/"+name)
		if err != nil && !wire.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	right := func() {
		t.Helper()
		r.runs()
		_, err := r.mover.Compare(t.Context(), r.job, true, func(d filecopy.Difference) error { return fmt.Errorf("a difference: %+v", d) })
		r.must(err)
	}
	link("one")
	r.makes("two", "a file")
	right()
	if shown("one") || !shown("two") || !shown("d/f") {
		t.Error("the other side shows something else than the files")
	}
	r.must(r.east.client.Delete(t.Context(), r.from+"/one", false))
	r.must(r.east.client.Delete(t.Context(), r.from+"/two", false))
	r.makes("one", "a file now")
	link("two")
	right()
	if !shown("one") || shown("two") {
		t.Error("the kinds did not change")
	}
}
