package etcd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// TestKillKeepsWhatWasAcknowledged kills a process that writes, again and again: all it was told was committed is
// there, nothing is there in part, and the next leader does not wait for the lease of the dead one.
func TestKillKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	term := int64(0)
	for _, commits := range []int{1, 7, 40, 150} {
		p := play(t, "embedded", dir)
		expect(t, p, fmt.Sprintf("committed %d", commits))
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		term = checkAfterKill(t, dir, lastAcknowledged(t, p), term)
	}
}

func checkAfterKill(t *testing.T, dir string, acknowledged int, term int64) int64 {
	t.Helper()
	j := openEmbedded(t, dir)
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	begun := time.Now()
	l, err := j.Lead(t.Context(), "crown", "parent", lease)
	if err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(begun); waited > 10*time.Second {
		t.Errorf("waited %v for the lease of a dead process", waited)
	}
	if l.Term() <= term {
		t.Errorf("term %d after %d", l.Term(), term)
	}
	e, err := j.Get(t.Context(), "/count")
	if err != nil {
		t.Fatal(err)
	}
	// The commit that was under way may have happened or not.
	found, err := strconv.Atoi(string(e.Value))
	if err != nil || found < acknowledged || found > acknowledged+1 {
		t.Errorf("found %q, %d was acknowledged", e.Value, acknowledged)
	}
	second, err := j.Get(t.Context(), fmt.Sprintf("/counts/%d", found%50))
	if err != nil || string(second.Value) != string(e.Value) || second.Version != e.Version {
		t.Errorf("half a commit: %q and %q (%v)", e.Value, second.Value, err)
	}
	return l.Term()
}

func TestLockNamesTheProcess(t *testing.T) {
	dir := t.TempDir()
	p := play(t, "embedded", dir)
	expect(t, p, "committed 1")
	refused := func(pid int) {
		t.Helper()
		begun := time.Now()
		_, err := OpenEmbedded(t.Context(), Options{Dir: dir})
		if !errors.Is(err, journal.ErrLocked) || understudy.KindOf(err) != understudy.KindRefused || understudy.AsError(err).Code != "US306" {
			t.Fatalf("got %v, want ErrLocked and US306", err)
		}
		if want := fmt.Sprintf("process %d", pid); !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("refused after %v", waited)
		}
	}
	refused(p.PID())
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	refused(p.PID())
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	j := openEmbedded(t, dir)
	refused(os.Getpid())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openEmbedded(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCleanStopKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	var rev journal.Revision
	for i := range 3 {
		begun := time.Now()
		j := openEmbedded(t, dir)
		t.Logf("open for the %d. time after %v", i+1, time.Since(begun).Round(time.Millisecond))
		e, err := j.Get(t.Context(), "/kept")
		if err != nil || e.Version != rev {
			t.Fatalf("version %d, want %d (%v)", e.Version, rev, err)
		}
		rev, err = j.Commit(t.Context(), journal.Txn{
			Guards: []journal.Guard{{Key: "/kept", Version: rev}},
			Writes: []journal.Write{{Key: "/kept", Value: []byte("v")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskEndsTheJournalNotTheProcess(t *testing.T) {
	p := play(t, "full", t.TempDir())
	expect(t, p, "refused US309")
	expect(t, p, "then US309")
	<-p.Done()
}

func TestDamagedDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := openEmbedded(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "etcd", "member", "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log found: %v", err)
	}
	garbage := []byte(strings.Repeat("garbage!", 1<<10))
	if err := os.WriteFile(logs[0], garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	p := play(t, "damaged", dir)
	expect(t, p, "refused US310")
}

func TestUnusableDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		_, err := OpenEmbedded(t.Context(), Options{Dir: dir})
		if e := understudy.AsError(err); e == nil || e.Code != "US310" {
			t.Errorf("%q: got %v, want US310", dir, err)
		}
	}
}
