package hdfs

import (
	"context"
	"errors"
	"io/fs"
	"sync"
)

// walkAhead is how many folders of one page are listed before their turn comes: a tree of small folders costs few round trips then,
// and no more than as many pages for each level are held in memory.
const walkAhead = 4

// Walk visits a path and all below it: each folder before its entries, entries sorted by the bytes of their names.
// A visitor that returns fs.SkipDir leaves a folder out. Of each folder on the way a page is held in memory, and those that were asked for
// ahead of their turn. Symbolic links are visited and not followed. It ends with the first error.
func (c *Client) Walk(ctx context.Context, root string, opts ListOptions, visit func(*FileInfo) error) error {
	top, err := c.Stat(ctx, root)
	if err != nil {
		return err
	}
	if !top.IsDir() && opts.Locations {
		if top.Blocks, err = c.Locate(ctx, root, 0, -1); err != nil {
			return err
		}
	}
	return walkFrom(ctx, top, visit, func(ctx context.Context, dir, after string) (*Listing, error) {
		list, err := c.List(ctx, dir, ListOptions{After: after, Locations: opts.Locations})
		if opts.Vanishing && dir != root && IsNotFound(err) {
			return &Listing{}, nil
		}
		return list, err
	})
}

// walkFrom visits a path and all below it, by a way to list.
func walkFrom(ctx context.Context, top *FileInfo, visit func(*FileInfo) error, list func(ctx context.Context, dir, after string) (*Listing, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	w := &walk{ctx: ctx, list: list, visit: visit}
	defer w.asking.Wait()
	defer cancel()
	err := w.path(top, nil)
	if errors.Is(err, fs.SkipDir) {
		return nil
	}
	return err
}

// walk is one walk. It is used by one goroutine; those that ask for pages only hand in their answer.
type walk struct {
	ctx    context.Context
	list   func(ctx context.Context, dir, after string) (*Listing, error)
	visit  func(*FileInfo) error
	asking sync.WaitGroup
}

// page is a page that was asked for; answer gets one value.
type page struct{ answer chan pageAnswer }

type pageAnswer struct {
	list *Listing
	err  error
}

// ask asks for the page of a folder after a name.
func (w *walk) ask(dir, after string) *page {
	p := &page{answer: make(chan pageAnswer, 1)}
	w.asking.Go(func() {
		list, err := w.list(w.ctx, dir, after)
		p.answer <- pageAnswer{list, err}
	})
	return p
}

// path visits one path and what is below it; next is the first page of a folder that was asked for ahead.
func (w *walk) path(f *FileInfo, next *page) error {
	if err := w.visit(f); err != nil || !f.IsDir() {
		return err
	}
	if next == nil {
		next = w.ask(f.Path, "")
	}
	for next != nil {
		got := <-next.answer
		if got.err != nil {
			return got.err
		}
		entries := got.list.Entries
		next = nil
		if got.list.Remaining > 0 && len(entries) > 0 {
			next = w.ask(f.Path, entries[len(entries)-1].Name)
		}
		if err := w.entries(entries); err != nil {
			return err
		}
	}
	return nil
}

// entries visits the entries of one page, and asks for the next few folders among them ahead.
func (w *walk) entries(all []FileInfo) error {
	var ahead []*page
	asked := 0
	for i := range all {
		for asked = max(asked, i); asked < len(all) && len(ahead) < walkAhead; asked++ {
			if all[asked].IsDir() {
				ahead = append(ahead, w.ask(all[asked].Path, ""))
			}
		}
		var next *page
		if all[i].IsDir() {
			next, ahead = ahead[0], ahead[1:]
		}
		if err := w.path(&all[i], next); err != nil && !errors.Is(err, fs.SkipDir) {
			return err
		}
	}
	return nil
}
