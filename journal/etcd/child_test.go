package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/lab"
)

// The environment tells a process of this test binary which part it plays, and where.
const (
	partVariable  = "UNDERSTUDY_JOURNAL_TEST_PART"
	placeVariable = "UNDERSTUDY_JOURNAL_TEST_PLACE"
)

// child plays a part, when the environment names one, and reports whether it did.
func child() bool {
	parts := map[string]func(ctx context.Context, place string) error{
		"embedded": embeddedPart, "remote": remotePart, "full": fullPart, "damaged": damagedPart,
	}
	part := parts[os.Getenv(partVariable)]
	if part == nil {
		return false
	}
	if err := part(context.Background(), os.Getenv(placeVariable)); err != nil {
		fmt.Println("ended:", err)
		os.Exit(1)
	}
	return true
}

// play starts a process of this test binary in a part; it is killed when the test ends.
func play(t *testing.T, part, place string) *lab.Process {
	t.Helper()
	p, err := lab.Start(lab.Command{
		Name: part, Path: os.Args[0], Log: filepath.Join(t.TempDir(), "log"),
		Env: []string{partVariable + "=" + part, placeVariable + "=" + place},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", part, said(t, p))
		}
	})
	return p
}

// expect waits until the process has printed a line that matches.
func expect(t *testing.T, p *lab.Process, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.WaitLog(ctx, regexp.MustCompile(`(?m)^`+line+`$`)); err != nil {
		t.Fatal(err)
	}
}

func said(t *testing.T, p *lab.Process) string {
	t.Helper()
	b, err := os.ReadFile(p.Log())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lastAcknowledged is the highest number that a process said was committed.
func lastAcknowledged(t *testing.T, p *lab.Process) int {
	t.Helper()
	last := 0
	for line := range strings.Lines(said(t, p)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "committed "); ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				continue // the process was killed within the line
			}
			last = n
		}
	}
	return last
}

// count commits ever higher numbers under a leadership and says so after each, until it is refused.
func count(ctx context.Context, j journal.Journal, l journal.Leadership) error {
	fmt.Println("leading", l.Term())
	for n := 1; ; n++ {
		value := []byte(strconv.Itoa(n))
		writes := []journal.Write{{Key: "/count", Value: value}, {Key: fmt.Sprintf("/counts/%d", n%50), Value: value}}
		if _, err := j.Commit(ctx, journal.Txn{Leader: l, Writes: writes}); err != nil {
			return err
		}
		fmt.Println("committed", n)
	}
}

// embeddedPart leads an embedded journal under a lease that nobody would want to wait for.
func embeddedPart(ctx context.Context, dir string) error {
	j, err := OpenEmbedded(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	l, err := j.Lead(ctx, "crown", "child", time.Hour)
	if err != nil {
		return err
	}
	return count(ctx, j, l)
}

// remotePart leads at an endpoint, and goes on writing whatever its own clock says.
func remotePart(ctx context.Context, endpoint string) error {
	j, err := OpenEndpoints(ctx, Options{Endpoints: []string{endpoint}})
	if err != nil {
		return err
	}
	l, err := j.Lead(ctx, "crown", "child", remoteLease)
	if err != nil {
		return err
	}
	err = count(ctx, j, l)
	if errors.Is(err, journal.ErrDeposed) {
		fmt.Println("refused", understudy.AsError(err).Code)
		<-l.Lost()
		fmt.Println("noticed")
		return nil
	}
	return err
}

// fullPart writes until the system lets no file grow, which etcd meets as it meets a full disk.
func fullPart(ctx context.Context, dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	j, err := OpenEmbedded(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	l, err := j.Lead(ctx, "crown", "child", time.Hour)
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 256 << 10, Max: 256 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for err == nil {
		_, err = j.Commit(ctx, journal.Txn{Leader: l, Writes: []journal.Write{{Key: "/filler", Value: make([]byte, 64<<10)}}})
	}
	fmt.Println("refused", understudy.AsError(err).Code)
	<-l.Lost()
	_, err = j.Get(ctx, "/filler")
	fmt.Println("then", understudy.AsError(err).Code)
	return j.Close()
}

// damagedPart opens a directory that cannot be opened.
func damagedPart(ctx context.Context, dir string) error {
	_, err := OpenEmbedded(ctx, Options{Dir: dir})
	if err == nil {
		return errors.New("opened")
	}
	fmt.Println("refused", understudy.AsError(err).Code)
	return nil
}
