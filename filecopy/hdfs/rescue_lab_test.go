package hdfs_test

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// mortal is a target whose member is lost right before its set is ready. It counts the bytes that it takes.
type mortal struct {
	*hdfs.Store
	lost  bool
	bytes taken
}

type taken struct{ atomic.Int64 }

func (n *taken) Write(p []byte) (int, error) {
	n.Add(int64(len(p)))
	return len(p), nil
}

var errMemberLost = errors.New("the member is lost")

func (m *mortal) Keep(ctx context.Context, name string, r io.Reader) error {
	if m.lost && path.Base(name) == "ready.json" {
		return errMemberLost
	}
	return m.Store.Keep(ctx, name, r)
}

func (m *mortal) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	return m.Store.Write(ctx, h, p, io.TeeReader(r, &m.bytes))
}

// rests gives the paths and sizes of the files that are staged, below a place.
func (r *trial) rests(below string) map[string]int64 {
	r.Helper()
	all := map[string]int64{}
	err := r.west.client.Walk(r.Context(), below, wire.ListOptions{}, func(i *wire.FileInfo) error {
		if !i.IsDir() {
			all[i.Path] = i.Length
		}
		return nil
	})
	if !wire.IsNotFound(err) {
		r.must(err)
	}
	return all
}

// overwrite writes a file of the target's staging place, as a create does that comes late, with so many bytes behind it.
func (r *trial) overwrite(at string, size int64) {
	r.Helper()
	w, err := r.west.client.Create(r.Context(), at, wire.CreateOptions{Overwrite: true, Parents: true})
	r.must(err)
	_, err = io.Copy(w, strings.NewReader(strings.Repeat("x", int(size))))
	r.must(errors.Join(err, w.Close()))
}

// loses has a member stage a first set and be lost. It gives the target, the files that are staged, and of them a large one and a small one that is in its
// place already.
func (r *trial) loses(staging string) (target *mortal, first map[string]int64, large, placed string) {
	r.Helper()
	r.must(r.east.client.AllowSnapshots(r.Context(), r.from))
	var err error
	r.job.Source, err = hdfs.New(hdfs.Config{Client: r.east.client, Namespace: r.east.name, Root: r.from, Snapshots: true, PartSize: 4 << 20})
	r.must(err)
	r.puts(1)
	target = &mortal{Store: r.target, lost: true}
	r.job.Target = target
	if _, err := r.mover.Run(r.Context(), r.job, nil); !errors.Is(err, errMemberLost) {
		r.Fatal(err)
	}
	first = r.rests(staging)
	for at, size := range first {
		switch {
		case size == 12<<20:
			large = at
		case strings.HasSuffix(at, placedFile):
			placed = at
		}
	}
	if len(first) != 84 || large == "" || placed == "" {
		r.Fatalf("staged are %v", first)
	}
	target.lost = false
	target.bytes.Store(0)
	return target, first, large, placed
}

// placedFile ends the path of a file that is staged where a new directory will have it.
const placedFile = "/whole/d1/f1"

// TestALostMembersFilesAreTakenOver loses a member that has staged a first set: a large file in parts, small ones right at their places in new
// directories, empty ones. Another one that knows nothing copies a file that was changed since, and two that were written over by what came late, and no
// byte more. Then all that the lost member could still have on its way comes, and the set is shown without its source.
func TestALostMembersFilesAreTakenOver(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{})
	ctx := t.Context()
	area := path.Join(path.Dir(r.to), "."+path.Base(r.to)+".understudy")
	target, first, large, placed := r.loses(area + "/staging")
	lot := strings.TrimPrefix(strings.TrimSuffix(placed, placedFile), area+"/staging/")
	r.overwrite(large, 12<<20)
	r.overwrite(placed, first[placed])
	r.must(judge(t).Put(ctx, r.east.cluster.Access(), labhdfs.File{Path: r.from + "/d2/f5", Size: 777, Seed: 9, Replication: 2}))

	var last filecopy.Progress
	set, err := native.New(t.TempDir()).Stage(ctx, r.job, filecopy.PhaseReady, func(p filecopy.Progress) { last = p })
	r.must(err)
	if got, want := target.bytes.Load(), 12<<20+first[placed]+777; got != want || set.Files != 84 || last.Files != 84 {
		t.Errorf("%d bytes were copied, want %d: %+v", got, want, last)
	}
	there := 0
	for at := range r.rests(area + "/staging") {
		if strings.Contains(at, "/"+lot+"/") {
			t.Errorf("%s is left", at)
		}
		if strings.Contains(at, "/whole/") {
			there++
		}
	}
	// The small files are where the new directories will have them, one of them something else.
	if there != 81 {
		t.Errorf("%d files are in their places", there)
	}
	for at, size := range first {
		r.overwrite(at, size)
	}
	r.must(r.target.Discard(ctx, lot))
	end := r.job
	end.Source = nil
	_, err = native.New(t.TempDir()).Finish(ctx, end, nil)
	r.must(err)
	r.same()
	if left := r.rests(area + "/staging"); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	for at := range r.rests(area + "/kept") {
		if !strings.HasSuffix(at, "/head.json") && !strings.Contains(at, "/layer/") {
			t.Errorf("%s is left", at)
		}
	}
}
