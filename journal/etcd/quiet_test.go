package etcd

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// sockets counts the open sockets of this process; false where the system does not say.
func sockets(t *testing.T) (int, bool) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(files) == 0 {
		return 0, false
	}
	count := 0
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && strings.HasPrefix(to, "socket:") {
			count++
		}
	}
	return count, true
}

func TestEmbeddedOpensNoSocketAndIsQuiet(t *testing.T) {
	before, known := sockets(t)
	if !known {
		t.Log("this system does not list the sockets of a process: only the log is checked")
	}
	var log bytes.Buffer
	dir := t.TempDir()
	for range 3 {
		j, err := OpenEmbedded(t.Context(), Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: "/a", Value: []byte("v")}}}); err != nil {
			t.Fatal(err)
		}
		if now, _ := sockets(t); now != before {
			t.Errorf("%d sockets, %d before", now, before)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "level=INFO") {
		t.Errorf("ordinary starts and stops log:\n%s", log.String())
	}
}

func TestClassify(t *testing.T) {
	plain := errors.New("broken pipe")
	for _, c := range []struct {
		err    error
		remote bool
		code   understudy.Code
	}{
		{plain, false, "US300"},
		{plain, true, "US307"},
		{rpctypes.ErrNoLeader, true, "US307"},
		{rpctypes.ErrTimeout, false, "US300"},
		{rpctypes.ErrTooManyRequests, true, "US300"},
		{rpctypes.ErrNoSpace, true, "US308"},
		{rpctypes.ErrNoSpace, false, "US308"},
		{syscall.ENOSPC, false, "US308"},
		{rpctypes.ErrPermissionDenied, true, "US311"},
	} {
		err := classify("journal.get", c.err, c.remote)
		hasCode(t, err, c.code)
		if !errors.Is(err, c.err) {
			t.Errorf("%v hides its cause", err)
		}
	}
}
