package etcd

import (
	"fmt"
	"log/slog"
	"testing"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/understudy-dr/understudy/journal"
)

// tiny is a quota that a few values fill.
const tiny = 2 << 20

func openTiny(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := OpenEmbedded(t.Context(), Options{Dir: dir, quota: tiny, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// fill writes n values of 128 KiB, each under the key that it is given. etcd compares its quota with what stands in its
// file, which it writes from time to time only: here it does after each value.
func fill(t *testing.T, j *Journal, n int, key func(int) string) error {
	t.Helper()
	return fillServer(t, j, j.room.server, n, key)
}

func fillServer(t *testing.T, j *Journal, server *etcdserver.EtcdServer, n int, key func(int) string) error {
	t.Helper()
	for i := range n {
		server.Backend().ForceCommit()
		value := make([]byte, 128<<10)
		value[0] = byte(i)
		if _, err := j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: key(i), Value: value}}}); err != nil {
			return fmt.Errorf("value %d: %w", i, err)
		}
	}
	return nil
}

func again(int) string { return "/again" }

// Many times the quota is written, of which almost all is history: no write fails, and who leads goes on leading.
func TestTheQuotaIsMetByHistory(t *testing.T) {
	j := openTiny(t, t.TempDir())
	closeAll(t, j)
	l, err := j.Lead(t.Context(), "crown", "me", 10*lease)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(t, j, 100, again); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Commit(t.Context(), journal.Txn{Leader: l, Writes: []journal.Write{{Key: "/led", Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	if e, err := j.Get(t.Context(), "/again"); err != nil || len(e.Value) != 128<<10 || e.Value[0] != 99 {
		t.Fatalf("%d bytes, %v", len(e.Value), err)
	}
	if refuses, _ := j.room.cramped(); refuses {
		t.Error("the alarm stands")
	}
}

// A process that died in NOSPACE, before it could make room, leaves a journal that the next one opens and writes.
func TestAStartAfterTheQuotaMakesRoom(t *testing.T) {
	dir := t.TempDir()
	m, err := openMember(t.Context(), Options{Dir: dir, quota: tiny})
	if err != nil {
		t.Fatal(err)
	}
	bare := newJournal(v3client.New(m.server.Server), "", m.stop)
	hasCode(t, fillServer(t, bare, m.server.Server, 100, again), "US308")
	if _, err := bare.Lead(t.Context(), "crown", "me", lease); err == nil {
		t.Error("the full etcd took a leader")
	}
	if err := bare.Close(); err != nil {
		t.Fatal(err)
	}

	j := openTiny(t, dir)
	closeAll(t, j)
	refuses, soon := j.room.cramped()
	if refuses || soon {
		t.Fatalf("after the start: alarm %v, size %d", refuses, m.server.Server.Backend().Size())
	}
	if _, err := j.Lead(t.Context(), "crown", "me", lease); err != nil {
		t.Fatal(err)
	}
	if err := fill(t, j, 1, again); err != nil {
		t.Fatal(err)
	}
}

// What is current and does not fit is said to be too much, is not lost, and can be deleted: then writes go on.
func TestTheQuotaIsMetByWhatIsCurrent(t *testing.T) {
	dir := t.TempDir()
	j := openTiny(t, dir)
	key := func(i int) string { return fmt.Sprintf("/kept/%d", i) }
	err := fill(t, j, 100, key)
	hasCode(t, err, "US308")
	hasCode(t, fill(t, j, 1, again), "US308")
	if e, err := j.Get(t.Context(), key(3)); err != nil || len(e.Value) == 0 || e.Value[0] != 3 {
		t.Fatalf("%d bytes, %v", len(e.Value), err)
	}
	for i := range 100 {
		if _, err := j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: key(i)}}}); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	if err := fill(t, j, 3, again); err != nil {
		t.Fatalf("after deletes: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	closeAll(t, openTiny(t, dir))
}

// The file is looked at before it meets its quota, too.
func TestRoomIsMadeInTime(t *testing.T) {
	j := openTiny(t, t.TempDir())
	closeAll(t, j)
	for i := 0; ; i++ {
		if err := fill(t, j, 1, again); err != nil || i > 100 {
			t.Fatalf("never large: %v", err)
		}
		if _, soon := j.room.cramped(); soon {
			break
		}
	}
	if err := j.room.make(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, soon := j.room.cramped(); soon {
		t.Error("no room was made")
	}
}
