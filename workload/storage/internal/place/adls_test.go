package place

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/lab/adls"
)

// pool is a tree in ADLS at which a mover can be stopped.
type pool struct {
	*testing.T
	client *adls.Client
	way    *hold
	// awake goes by no way on which it could be stopped.
	awake Tree
	// mover is the store of the folder e3, by the way.
	mover filecopy.Target
	entry filecopy.Entry
	lot   filecopy.Sealed
}

// pools serves an account, and gives trees in file systems of their own.
func pools(t *testing.T) func(t *testing.T) *pool {
	server := adls.Host(t, adls.Config{})
	made := 0
	return func(t *testing.T) *pool {
		made++
		name := fmt.Sprintf("late-%d", made)
		p := &pool{T: t, way: holdBefore(t, server.Addr()), entry: filecopy.Entry{Path: "d/old", Kind: filecopy.File, Size: 4, Attributes: filecopy.Attributes{Mode: 0o640}}}
		var err error
		p.client, err = adls.OpenClient(server.Endpoint(), name)
		p.must(err)
		p.must(p.client.Make(t.Context()))
		p.must(p.client.Put(t.Context(), "at/tree/d/old", []byte("old!")))
		site := func(addr string) Site {
			return ADLS(ADLSConfig{URL: addr + "/" + adls.AccountName, Account: adls.AccountName, FileSystem: name, Prefix: "at", Key: "key",
				Secret: func(context.Context, string) ([]byte, error) { return []byte(adls.Key()), nil }})
		}
		p.awake = site("http://" + server.Addr()).Tree("/tree")
		p.mover, err = site(p.way.URL).Tree("/tree").Store(t.Context(), "e3", false)
		p.must(err)
		p.must(p.mover.Keep(t.Context(), "job/head.json", strings.NewReader("head")))
		h, err := p.mover.Begin(t.Context(), "lot", p.entry)
		p.must(err)
		p.must(p.mover.Write(t.Context(), h, filecopy.Part{Size: 4}, strings.NewReader("late")))
		p.lot, err = p.mover.Seal(t.Context(), h, p.entry, filecopy.Checksum{})
		p.must(err)
		return p
	}
}

func (p *pool) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// looks gives all that the tree and understudy's folder show.
func (p *pool) looks() string {
	all, err := p.client.Looks(p.Context(), "at/tree")
	p.must(err)
	b, err := p.client.Get(p.Context(), "at/tree/d/old")
	return fmt.Sprint(all, string(b), err)
}

// stopped has a call stopped right before a request, bars the folder, and lets the request arrive; it gives the tree before that and after.
func (p *pool) stopped(is func(*http.Request) bool, call func(filecopy.Target) error) (before, after string, err error) {
	p.Helper()
	p.way.next(is)
	came := make(chan error, 1)
	go func() { came <- call(p.mover) }()
	select {
	case <-p.way.held:
	case err := <-came:
		p.Fatalf("it was not stopped: %v", err)
	}
	for range 2 {
		p.must(p.awake.Bar(p.Context(), "e3", "halted-e3"))
	}
	before = p.looks()
	// An answer about the folder is older than it may be.
	<-time.After(300 * time.Millisecond)
	close(p.way.free)
	err = <-came
	return before, p.looks(), err
}

// renames and asks are the requests before which a mover is stopped: one that renames, and one that looks for its folder.
func renames(r *http.Request) bool { return r.Header.Get("x-ms-rename-source") != "" }
func asks(r *http.Request) bool {
	return r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, ".tree.understudy/e3")
}

// TestALateMoverOfAFileSystem stops a mover before the requests that change what readers see or what it keeps. Those that go through its folder are
// refused by the service; before the others it looks for the folder, and what it sends after an answer that it had arrives.
func TestALateMoverOfAFileSystem(t *testing.T) {
	fresh := pools(t)
	dir := filecopy.Entry{Path: "d", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o711}}
	made := dir
	made.Path = "new"
	calls := map[string]struct {
		stop func(*http.Request) bool
		do   func(context.Context, *pool, filecopy.Target) error
	}{
		"publish": {renames, func(ctx context.Context, p *pool, s filecopy.Target) error {
			_, err := s.Publish(ctx, p.lot, p.entry)
			return err
		}},
		"retire": {renames, func(ctx context.Context, _ *pool, s filecopy.Target) error {
			return s.Retire(ctx, "d/old", "20260102T150405Z-1")
		}},
		"keep": {renames, func(ctx context.Context, _ *pool, s filecopy.Target) error {
			return s.Keep(ctx, "job/head.json", strings.NewReader("late"))
		}},
		"a new directory": {asks, func(ctx context.Context, _ *pool, s filecopy.Target) error { return s.MakeDirectory(ctx, made) }},
		"attributes": {asks, func(ctx context.Context, _ *pool, s filecopy.Target) error {
			return s.SetAttributes(ctx, "d", dir.Attributes, filecopy.AllFields)
		}},
		"a move": {asks, func(ctx context.Context, _ *pool, s filecopy.Target) error { return s.Move(ctx, "d/old", "moved") }},
	}
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			p := fresh(t)
			before, after, err := p.stopped(c.stop, func(s filecopy.Target) error { return c.do(t.Context(), p, s) })
			if err == nil || before != after {
				t.Errorf("a late call: %v; the tree was\n%s\nand is\n%s", err, before, after)
			}
			// And so is everything behind it.
			for name, c := range calls {
				if err := c.do(t.Context(), p, p.mover); err == nil || p.looks() != before {
					t.Errorf("after the bar, %s: %v, %s", name, err, p.looks())
				}
			}
			p.handed()
			// The negative control: without a bar the same call counts.
			p = fresh(t)
			before = p.looks()
			if err := c.do(t.Context(), p, p.mover); err != nil || name != "keep" && p.looks() == before {
				t.Errorf("without a bar: %v, %s", err, p.looks())
			}
		})
	}
	t.Run("what is on its way arrives", func(t *testing.T) {
		p := fresh(t)
		before, after, err := p.stopped(renames, func(s filecopy.Target) error { return s.Move(t.Context(), "d/old", "moved") })
		if err != nil || before == after {
			t.Errorf("a move that was on its way: %v, %s", err, after)
		}
	})
}

// handed looks at what the halt left, and has a link go on with it under another name.
func (p *pool) handed() {
	p.Helper()
	ctx := p.Context()
	folders, err := p.awake.Folders(ctx)
	if err != nil || fmt.Sprint(folders) != "[{e3 true} {halted-e3 false}]" {
		p.Errorf("understudy's folder holds %v, %v", folders, err)
	}
	if done, err := p.awake.Rename(ctx, "halted-e3", "e5"); err != nil || !done {
		p.Errorf("renaming: %v, %v", done, err)
	}
	if done, err := p.awake.Rename(ctx, "halted-e3", "e7"); err != nil || done {
		p.Errorf("renaming what is not there: %v, %v", done, err)
	}
	next, err := p.awake.Store(ctx, "e5", false)
	p.must(err)
	if r, err := next.Kept(ctx, "job/head.json"); err != nil {
		p.Error(err)
	} else {
		p.must(r.Close())
	}
	stay := leaves(func(name, content string) { p.must(p.client.Put(ctx, "at/tree/"+name, []byte(content))) })
	p.must(p.awake.Try(ctx, Ourselves))
	there, err := p.client.List(ctx, "at/tree")
	p.must(err)
	for _, name := range append(stay, "d/old") {
		delete(there, "at/tree/"+name)
	}
	if len(there) != 0 {
		p.Errorf("the tree holds %v beside %q", there, stay)
	}
	if err := p.awake.Try(ctx, Ordinary); !errors.Is(err, ErrUnproven) {
		p.Errorf("trying as another: %v", err)
	}
	p.must(p.awake.Remove(ctx, ""))
	if left, err := p.awake.Folders(ctx); err != nil || len(left) > 0 {
		p.Errorf("left: %v, %v", left, err)
	}
}
