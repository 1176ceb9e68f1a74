package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// staging names the staged file of a handle.
func staging(root string, h filecopy.Handle) string {
	name, _, _ := strings.Cut(string(h), "~")
	return filepath.Join(filepath.Dir(root), "."+filepath.Base(root)+".understudy", "staging", name)
}

// flip flips a byte in the replicas of a block that DataNodes keep on their disks, in so many at most, and gives the numbers of these DataNodes.
func (s *site) flip(block uint64, most int) ([]int, error) {
	var flipped []int
	for i := range s.cluster.DataAddrs() {
		number := i + 1
		err := filepath.WalkDir(s.cluster.DataDir(number), func(file string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				// Replicas move from one directory to another when they are complete.
				return nil
			}
			if err != nil || d.Name() != fmt.Sprint("blk_", block) || len(flipped) == most {
				return err
			}
			flipped = append(flipped, number)
			return flipByte(file, 99)
		})
		if err != nil {
			return flipped, err
		}
	}
	return flipped, nil
}

// flipByte flips a bit of the byte at an offset, or of the first where the file is shorter.
func flipByte(file string, at int64) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	one := make([]byte, 1)
	if _, err = f.ReadAt(one, at); errors.Is(err, io.EOF) {
		at = 0
		_, err = f.ReadAt(one, at)
	}
	if err == nil {
		one[0] ^= 1
		_, err = f.WriteAt(one, at)
	}
	return errors.Join(err, f.Close())
}

// decaying are disks of a target that rot under files that are staged, after their checksum was compared: in so many replicas of each block.
type decaying struct {
	*trial
	match    func(filecopy.Path) bool
	replicas int
	mu       sync.Mutex
	// rotten are the numbers of the DataNodes by block.
	rotten map[uint64][]int
	// placed counts files that rotted where they were written in a new directory out of sight.
	placed int
}

type decayed struct {
	filecopy.Target
	*decaying
}

func (d *decayed) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	s, err := d.Target.Seal(ctx, h, e, sum)
	if err != nil || e.Size == 0 || !d.match(e.Path) {
		return s, err
	}
	if s.Proof != filecopy.ProofServer || s.Sum != sum {
		d.Errorf("the DataNodes say %v, %v was read", s.Sum, sum)
	}
	b, err := d.west.client.Locate(ctx, staging(d.to, s.Handle), 0, -1)
	if err != nil {
		return s, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if strings.Contains(string(s.Handle), "/whole/"+string(e.Path)+"~") {
		d.placed++
	}
	for _, block := range b.List {
		numbers, err := d.west.flip(block.ID, d.replicas)
		if err != nil || len(numbers) == 0 {
			return s, fmt.Errorf("no replica of %q was found: %w", e.Path, err)
		}
		d.rotten[block.ID] = numbers
	}
	return s, nil
}

// decay lets the target rot.
func (r *trial) decay(replicas int, match func(filecopy.Path) bool) *decaying {
	d := &decaying{trial: r, match: match, replicas: replicas, rotten: map[uint64][]int{}}
	r.job.Target = filecopytest.Wrap(r.target, func(to filecopy.Target, _ bool) filecopy.Target { return &decayed{to, d} }, nil)
	return d
}

// TestAFileRotsBeforeItIsShown flips a byte in block files of the target's DataNodes once a file is staged and its checksum compared, also where it is
// written in its new directory. Who reads back finds it in time: all replicas rotten twice, once, and one of two. Who does not, publishes it, and the
// store's own checksum still says that all is well.
func TestAFileRotsBeforeItIsShown(t *testing.T) {
	r := newStill(t, wire.Options{}, wire.Options{})
	r.job.ReadBack = true
	r.puts(1)
	r.runs()
	for seed, at := range map[int64]filecopy.Path{2: "big", 3: fresh(3) + "/mid"} {
		before := r.shows()
		r.puts(seed)
		d := r.decay(9, func(p filecopy.Path) bool { return p == at })
		_, err := r.mover.Run(t.Context(), r.job, nil)
		t.Log(err)
		if understudy.AsError(err).Code != "US734" || !errors.Is(err, filecopy.ErrCorrupt) || r.shows() != before {
			t.Errorf("the run ended with %v, or readers see something of a set that had rotted", err)
		}
		if placed := at != "big"; placed != (d.placed > 0) {
			t.Errorf("%q rotted %d times where it belongs in a new directory", at, d.placed)
		}
		// The disks are sound again: what is rotten is staged anew, and nothing else.
		r.job.Target = r.target
		set, err := r.mover.Run(t.Context(), r.job, nil)
		r.must(err)
		if set.Rotten != 2 || set.Flaws == 0 {
			t.Errorf("set = %+v", set)
		}
		r.same()
	}
	r.oneOfTwo(4)
	r.control(5, "big")
	r.control(6, fresh(6)+"/mid")
}

// oneOfTwo lets one replica of each block rot. Readings that meet it go on at the other, and the NameNode is told.
func (r *trial) oneOfTwo(seed int64) {
	r.Helper()
	r.puts(seed)
	d := r.decay(1, func(filecopy.Path) bool { return true })
	set, err := r.mover.Run(r.Context(), r.job, nil)
	r.must(err)
	if set.Flaws == 0 || set.Rotten != 0 || d.placed == 0 {
		r.Errorf("%d blocks had a rotten replica, %d files in new directories: set = %+v", len(d.rotten), d.placed, set)
	}
	dropped := 0
	err = r.west.client.Walk(r.Context(), r.to, wire.ListOptions{}, func(f *wire.FileInfo) error {
		if f.Type != wire.TypeFile || f.Length == 0 {
			return nil
		}
		b, err := r.west.client.Locate(r.Context(), f.Path, 0, -1)
		if err != nil {
			return err
		}
		for _, block := range b.List {
			if numbers := d.rotten[block.ID]; len(numbers) == 1 && !r.west.holds(block, numbers[0]) {
				dropped++
			}
		}
		return nil
	})
	r.must(err)
	r.Logf("%d rotten replicas were met and reported; the NameNode names %d no more", set.Flaws, dropped)
	if dropped == 0 {
		r.Error("the NameNode still names every rotten replica")
	}
	r.same()
}

// holds says whether the NameNode names a DataNode as a holder of a block.
func (s *site) holds(b wire.Block, number int) bool {
	for _, replica := range b.Replicas {
		if strings.HasSuffix(s.cluster.DataAddrs()[number-1], ":"+strconv.Itoa(replica.Node.Port)) {
			return true
		}
	}
	return false
}

// control takes the store's word alone: the set is shown, both stores name the same checksum, and the file cannot be read.
func (r *trial) control(seed int64, at filecopy.Path) {
	r.Helper()
	r.puts(seed)
	r.decay(9, func(p filecopy.Path) bool { return p == at })
	r.job.ReadBack = false
	_, err := r.mover.Run(r.Context(), r.job, nil)
	r.must(err)
	one, err := r.east.client.Checksum(r.Context(), r.from+"/"+string(at))
	r.must(err)
	other, err := r.west.client.Checksum(r.Context(), r.to+"/"+string(at))
	r.must(err)
	if one.CRC32C != other.CRC32C {
		r.Errorf("the sums are %08x and %08x", one.CRC32C, other.CRC32C)
	}
	f, err := r.west.client.Open(r.Context(), r.to+"/"+string(at))
	r.must(err)
	defer f.Close()
	if _, err := io.Copy(io.Discard, f); !errors.Is(err, wire.ErrChecksum) {
		r.Errorf("what had rotted before it was shown is read: %v", err)
	}
}
