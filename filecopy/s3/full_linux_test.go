package s3_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// TestTheDiskIsFullAmidARun copies to a real server whose disk has no room for a set, and then gives it room.
func TestTheDiskIsFullAmidARun(t *testing.T) {
	disk := lab.OwnDisk(t, "TestTheDiskIsFullAmidARun", 16<<10)
	if disk == nil {
		return
	}
	server, err := versitygw.Start(context.Background(), disk.Dir)
	lab.Check(t, err)
	// The file system goes with the test, and the server before it.
	defer func() { _ = server.Close() }()
	site := &site{server: server}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(server.MakeBucket(bucket))
	target, err := s3.New(site.config("full/tree"))
	must(err)
	source := filecopytest.NewMemory("source", false)
	plant(t, source, "f", "first")
	m := native.New(t.TempDir())
	job := filecopy.Job{Name: "full", Source: source, Target: target}
	_, err = m.Run(t.Context(), job, nil)
	must(err)
	reads := func(name filecopy.Path) string {
		t.Helper()
		view, err := target.Open(t.Context(), filecopy.Pin{})
		must(err)
		e, err := view.Stat(t.Context(), name)
		must(err)
		r, err := view.Read(t.Context(), e, 0)
		must(err)
		b, err := io.ReadAll(r)
		must(errors.Join(err, r.Close()))
		return string(b)
	}
	large := strings.Repeat("second", 100_000)
	plant(t, source, "f", large)
	plant(t, source, "g", large)
	must(disk.Fill(256 << 10))
	_, err = m.Run(t.Context(), job, nil)
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US621" {
		t.Errorf("a full disk: %v", err)
	}
	t.Log(err)
	if got := reads("f"); got != "first" {
		t.Errorf("f is %.20q", got)
	}
	must(disk.Free())
	_, err = m.Run(t.Context(), job, nil)
	must(err)
	for _, name := range []filecopy.Path{"f", "g"} {
		if got := reads(name); got != large {
			t.Errorf("%s is %.20q", name, got)
		}
	}
}
