package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
)

const (
	// treePath is the tree of invoices below the root of each lake, and perDay how many of them share a directory.
	treePath = "/invoices"
	perDay   = 40
	// filing is how often the clerk files an invoice.
	filing = 10 * time.Millisecond
	// invoiceLines makes an invoice as long as a short letter.
	invoiceLines = 30
	// unfinished ends the name of an invoice that is still being written, and whole that of one that is not.
	unfinished, whole = ".part", ".txt"
)

// lake is the two directories of this machine in which the sites keep their trees, as if they were mounted there.
type lake struct{ dir string }

// open makes both directories, and the tree at home.
func (l lake) open() error {
	// An ordinary user gets as far as the roots, so that what stops him is what understudy did to them.
	if err := os.Chmod(l.dir, 0o711); err != nil {
		return err
	}
	for _, site := range []understudy.Site{east, west} {
		if err := os.Mkdir(l.root(site), 0o755); err != nil {
			return err
		}
	}
	return os.Mkdir(l.tree(east), 0o775)
}

// root is where a site's file system is mounted, and tree the directory of its invoices.
func (l lake) root(site understudy.Site) string { return filepath.Join(l.dir, "lake-"+string(site)) }
func (l lake) tree(site understudy.Site) string { return filepath.Join(l.root(site), treePath) }

// lose takes a site's file system away with all that is in it, whoever has files open there, and find puts it back.
func (l lake) lose(site understudy.Site) error { return os.Rename(l.root(site), l.root(site)+".lost") }
func (l lake) find(site understudy.Site) error { return os.Rename(l.root(site)+".lost", l.root(site)) }

// kept is where understudy keeps at a site what an operation found only there, beside the tree.
func (l lake) kept(site understudy.Site, path string) string {
	return filepath.Join(l.root(site), ".invoices.understudy", path)
}

// clerk files invoices at the site where he sits, and keeps book: an invoice is acknowledged when it has its name.
type clerk struct {
	book book
	mu   sync.Mutex
	desk string
}

// sit has the clerk go on in another directory, or pause when there is none. The invoice in hand is finished first.
func (c *clerk) sit(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.desk = dir
}

// work files invoices until ctx ends. Where he cannot, he tries again with the next one.
func (c *clerk) work(ctx context.Context) {
	clock := time.NewTicker(filing)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
			c.file()
		}
	}
}

func (c *clerk) file() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.desk == "" {
		return
	}
	if n := c.book.next(); put(c.desk, n) == nil {
		c.book.acknowledge(n)
	}
}

// put writes an invoice under another name and then gives it its own, as careful programs do.
func put(dir string, n id) error {
	day := filepath.Join(dir, fmt.Sprintf("day-%03d", n/perDay))
	if err := os.Mkdir(day, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	file := filepath.Join(day, fmt.Sprintf("invoice-%d", n))
	if err := os.WriteFile(file+unfinished, invoice(n), 0o644); err != nil {
		return err
	}
	return os.Rename(file+unfinished, file+whole)
}

// invoice is what the file of a number holds, to the last byte.
func invoice(n id) []byte {
	var b bytes.Buffer
	for line := range invoiceLines {
		fmt.Fprintf(&b, "invoice %d line %d %s\n", n, line, strings.Repeat(".", int(n)%50))
	}
	return b.Bytes()
}

// numbered reads the number in the name of a file; false for what is no finished invoice.
func numbered(name string) (id, bool) {
	text, is := strings.CutPrefix(strings.TrimSuffix(name, whole), "invoice-")
	n, err := strconv.ParseInt(text, 10, 64)
	return id(n), is && err == nil && strings.HasSuffix(name, whole)
}

// shelf is what is found in a tree: the invoices that are there whole, and those that are not as they were written.
type shelf struct {
	whole tally
	torn  int64
}

// browse reads every file of a tree and holds it against what was written.
func browse(dir string) (shelf, error) {
	found := shelf{whole: tally{}}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		n, finished := numbered(e.Name())
		if !finished {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Equal(text, invoice(n)) {
			found.whole[n]++
		} else {
			found.torn++
		}
		return nil
	})
	return found, err
}
