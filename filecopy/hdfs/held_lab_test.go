package hdfs_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// holds takes a snapshot of a directory of the target, as somebody else may.
func (r *trial) holds(dir string) {
	r.Helper()
	r.check(r.west.client.AllowSnapshots(r.Context(), r.to+"/"+dir))
	_, err := r.west.client.CreateSnapshot(r.Context(), r.to+"/"+dir, "theirs")
	r.check(err)
}

// names wants an error to name the directory that is held, and what frees it, which it then does.
func (r *trial) names(err error, dir string, disallow bool) {
	r.Helper()
	r.Log(err)
	at := r.to + "/" + dir
	e := understudy.AsError(err)
	for _, want := range []string{"-ls '" + at + "/.snapshot'", "-deleteSnapshot '" + at + "' NAME", "-disallowSnapshot '" + at + "'"} {
		if !strings.Contains(e.Summary, at) || !strings.Contains(e.Fix, want) {
			r.Errorf("it does not say what to do: %s; %s", e.Summary, e.Fix)
		}
	}
	r.must(r.west.client.DeleteSnapshot(r.Context(), at, "theirs"))
	if disallow {
		r.must(r.west.client.DisallowSnapshots(r.Context(), at))
	}
}

// TestADirectoryWithSnapshotsIsHeld takes a snapshot of a directory of the target that the source then deletes, renames, or replaces by a file, or of one
// in it: HDFS neither removes nor renames it. That is found before readers see anything of the set; where it cannot be, all but that is shown. The next run
// goes through once the snapshot is gone.
func TestADirectoryWithSnapshotsIsHeld(t *testing.T) {
	r := newStill(t, wire.Options{}, wire.Options{})
	for _, dir := range []string{"deleted/in", "replaced/in", "amid/in", "renamed", "stays"} {
		r.makes(dir+"/f", dir)
	}
	r.runs()
	// Nobody takes this one away, and this one has no snapshot any more.
	r.holds("stays")
	r.must(r.west.client.AllowSnapshots(t.Context(), r.to+"/deleted"))
	r.must(r.west.client.DisallowSnapshots(t.Context(), r.to+"/deleted"))
	east := r.east.client
	for _, c := range []struct {
		name, held string
		change     func() error
	}{
		{"deleted", "deleted/in", func() error { return east.Delete(t.Context(), r.from+"/deleted", true) }},
		{"replaced", "replaced/in", func() error {
			err := east.Delete(t.Context(), r.from+"/replaced", true)
			r.makes("replaced", "by a file")
			return err
		}},
		{"renamed", "renamed", func() error { return east.Rename(t.Context(), r.from+"/renamed", r.from+"/moved") }},
	} {
		r.holds(c.held)
		r.must(c.change())
		r.makes("with-"+c.name, "comes with it")
		before := r.shows()
		err := r.fails("US748")
		if r.shows() != before {
			t.Errorf("%s: readers see something of the set", c.name)
		}
		r.names(err, c.held, c.name == "replaced")
		r.runs()
		r.alikeSums()
	}
	// Between the look and the call.
	r.must(east.Delete(t.Context(), r.from+"/amid", true))
	r.makes("with-amid", "comes with it")
	var once sync.Once
	r.job.Target = filecopytest.Telling(r.target, func(call string) {
		if call == "publish" {
			once.Do(func() { r.holds("amid/in") })
		}
	})
	r.shownBut("amid/in", "with-amid")
	r.runs()
	r.alikeSums()
}

// shownBut wants a run to fail for a directory that is held, again and again, and to show what comes with it; then it is freed.
func (r *trial) shownBut(dir, with string) {
	r.Helper()
	var err error
	for range 2 {
		err = r.fails("US748")
		for _, p := range []string{dir, with} {
			if _, err := r.west.client.Stat(r.Context(), r.to+"/"+p); err != nil {
				r.Errorf("%s: %v", p, err)
			}
		}
	}
	r.names(err, dir, true)
}

// TestWhoIsNoSuperuserMeetsSnapshotsLate: a NameNode names the directories of others to superusers only. So the set is shown in part.
func TestWhoIsNoSuperuserMeetsSnapshotsLate(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{User: "mover"})
	r.job.Principals.Users, r.job.Principals.Groups = map[string]string{labhdfs.Superuser: "mover"}, map[string]string{"supergroup": "mover"}
	for _, dir := range []string{r.to[:strings.LastIndexByte(r.to, '/')], r.to} {
		r.must(r.west.client.SetOwner(t.Context(), dir, "mover", "mover"))
	}
	r.makes("theirs/f", "data")
	r.makes("stays", "data")
	r.runs()
	r.must(r.west.client.SetOwner(t.Context(), r.to+"/theirs", "somebody", ""))
	r.holds("theirs")
	r.must(r.east.client.Delete(t.Context(), r.from+"/theirs", true))
	r.makes("with-theirs", "comes with it")
	r.shownBut("theirs", "with-theirs")
	r.runs()
	if _, err := r.west.client.Stat(t.Context(), r.to+"/theirs"); !wire.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}
