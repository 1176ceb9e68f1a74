package filecopytest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Wire is a tree of a store that is reached over a way on which bytes can be flipped.
type Wire struct {
	// Over is the tree by that way, Aside the same tree by another.
	Over, Aside filecopy.Target
	// Flip flips a bit of the last byte of some words when they go by, so many times; negative is each time, and zero ends it. Back is from
	// the store.
	Flip func(back bool, words string, times int)
	// Flips counts what was flipped so far.
	Flips func() int64
	// Put writes a file of the tree by the way, with the store's own client, and lets nobody check what arrives.
	Put func(ctx context.Context, p filecopy.Path, content string) error
}

// What is flipped lies at the ends of these words, in a file of one part and in the second part of another.
const (
	smallWords = "the small words"
	largeWords = "the large words"
	bareWords  = "words that nobody checks"
)

// crossing is a wire with a tree in memory at its other end.
type crossing struct {
	*bench
	wire Wire
	step int64
}

// RunWire flips one byte on the wire, in both directions: on the way to a target, and from a source. Once, and the file is copied again; always, and
// the run is refused before anybody sees it. The control is a file of which nobody says a sum: what was flipped arrives.
func RunWire(t *testing.T, mover func(dir string) filecopy.Mover, open func(t *testing.T) Wire) {
	for name, back := range map[string]bool{"ToTheStore": false, "FromTheStore": true} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			c := &crossing{wire: w, step: w.Aside.Describe().Capabilities.PartSize(1)}
			memory := func(*testing.T) filecopy.Target {
				m := NewMemory("memory", false)
				// A file is read to its end in one go: what goes by is what is read.
				m.can.PartSize = nil
				return m
			}
			aside := func(*testing.T) filecopy.Target { return w.Aside }
			rig := Rig{Source: memory, Target: aside, Mover: mover, Fields: filecopy.FieldMode}
			if back {
				rig.Source, rig.Target = rig.Target, memory
			}
			c.bench = rig.bench(t)
			if back {
				c.job.Source = w.Over
			} else {
				c.job.Target = w.Over
			}
			c.cross(back)
			c.control(back)
		})
	}
}

// version puts a version of both files into the source, past the wire.
func (c *crossing) version(n string) {
	c.Helper()
	for p, content := range map[filecopy.Path]string{
		"d/small": n + " of " + smallWords + ", and more",
		"d/large": strings.Repeat(n+". ", int(c.step)/len(n+". ")+1) + largeWords + strings.Repeat(" "+n, int(c.step)/len(" "+n)),
	} {
		c.must(pour(c.ctx, c.source, p, content, c.own(plain(0o644))))
	}
}

// cross flips bytes of both files.
func (c *crossing) cross(back bool) {
	c.version("first")
	c.run()
	for n, words := range map[string]string{"second": smallWords, "third": largeWords} {
		before := c.wire.Flips()
		c.version(n)
		c.wire.Flip(back, words, 1)
		c.run()
		if got := c.wire.Flips() - before; got != 1 {
			c.Errorf("%d bytes of %q were flipped, not one", got, words)
		}
		c.same()
	}
	shown, before := c.tree(c.target), c.wire.Flips()
	c.version("last")
	c.wire.Flip(back, smallWords, -1)
	_, err := c.rig.Mover(c.dir).Run(c.ctx, c.job, nil)
	c.Logf("each time: %v", err)
	var coded *understudy.Error
	if !errors.Is(err, filecopy.ErrCorrupt) || !errors.As(err, &coded) || coded.Code != "US606" || c.wire.Flips()-before < 2 {
		c.Errorf("after %d flips the run says %v", c.wire.Flips()-before, err)
	}
	c.wire.Flip(back, smallWords, 0)
	c.untouched(shown)
	c.run()
	c.same()
}

// control sends a file of which nobody says a sum: by the store's own client to the store, or by the mover from there.
func (c *crossing) control(back bool) {
	content := "some " + bareWords + ", and more"
	times := 1
	if back {
		times = 0
	}
	c.wire.Flip(false, bareWords, times)
	c.must(c.wire.Put(c.ctx, "bare", content))
	if back {
		c.wire.Flip(true, bareWords, 1)
		c.run()
	}
	flipped := strings.Replace(content, bareWords, bareWords[:len(bareWords)-1]+string(bareWords[len(bareWords)-1]^0x20), 1)
	if got := c.tree(c.target)["bare"].content; got != flipped {
		c.Errorf("the control arrived as %q, want %q", got, flipped)
	}
}

// pour writes a file past the wire in as few parts as may be.
func pour(ctx context.Context, to filecopy.Target, p filecopy.Path, content string, a filecopy.Attributes) error {
	if _, ok := to.(*Memory); !ok {
		return write(ctx, to, p, content, a)
	}
	if err := makeDirs(ctx, to, p.Dir()); err != nil {
		return err
	}
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(content)), Attributes: a}
	h, err := to.Begin(ctx, "elsewhere", e)
	if err == nil {
		err = to.Write(ctx, h, filecopy.Part{Size: e.Size}, strings.NewReader(content))
	}
	if err == nil {
		_, err = to.Publish(ctx, filecopy.Sealed{Handle: h}, e)
	}
	return err
}
