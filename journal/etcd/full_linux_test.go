package etcd

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/understudy-dr/understudy/lab"
)

// TestTheDiskIsFull takes the last room on a file system of its own from a journal that is written to. It ends and says why, cannot be opened
// without room, and has all that was acknowledged when there is room again.
func TestTheDiskIsFull(t *testing.T) {
	// etcd takes 128 MiB for its log ahead of time.
	disk := lab.OwnDisk(t, "TestTheDiskIsFull", 144<<10)
	if disk == nil {
		return
	}
	dir := filepath.Join(disk.Dir, "data")
	p := play(t, "embedded", dir)
	expect(t, p, "committed 50")
	if err := disk.Fill(0); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "ended: US308: .*no space left on device.*")
	<-p.Done()
	// What it had open and removed is room again.
	if err := disk.Fill(0); err != nil {
		t.Fatal(err)
	}
	// It is refused, unless what it has to write at its opening finds room in the files that are there.
	again := play(t, "damaged", dir)
	expect(t, again, "(refused US308|ended: opened)")
	<-again.Done()
	if err := disk.Free(); err != nil {
		t.Fatal(err)
	}
	j := openEmbedded(t, dir)
	closeAll(t, j)
	e, err := j.Get(t.Context(), "/count")
	if err != nil {
		t.Fatal(err)
	}
	// The write that was refused may be there, and nothing later.
	n, err := strconv.Atoi(string(e.Value))
	if last := lastAcknowledged(t, p); err != nil || n < last || n > last+1 {
		t.Errorf("it ends at %q, acknowledged was %d", e.Value, last)
	}
}
