package journaltest

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/journal"
)

func readWritten(s *stage) {
	s.absent("/a")
	first := s.put("/a", "1")
	s.has("/a", "1")
	second := s.put("/a", "2")
	s.has("/a", "2")
	if e := s.get(s.B, "/a"); e.Version != second || second <= first {
		s.Fatalf("version %d after commits %d and %d", e.Version, first, second)
	}
	third := s.remove("/a")
	s.absent("/a")
	if third <= second {
		s.Fatalf("the deletion has revision %d, not after %d", third, second)
	}
	if fourth := s.remove("/a"); fourth != third {
		s.Fatalf("deleting an absent key made revision %d after %d", fourth, third)
	}
	if e := s.get(s.A, "/a"); e.Version != 0 {
		s.Fatalf("a deleted key has version %d", e.Version)
	}
}

// guarded commits one write under one guard.
func (s *stage) guarded(j journal.Journal, key string, version journal.Revision, value string) error {
	_, err := j.Commit(s.ctx, journal.Txn{
		Guards: []journal.Guard{{Key: key, Version: version}},
		Writes: []journal.Write{{Key: "/target", Value: []byte(value)}},
	})
	return err
}

func guards(s *stage) {
	refused := func(version journal.Revision) {
		s.Helper()
		s.fails(s.guarded(s.B, "/g", version, "wrong"), journal.ErrConflict)
	}
	taken := func(version journal.Revision, value string) {
		s.Helper()
		if err := s.guarded(s.B, "/g", version, value); err != nil {
			s.Fatal(err)
		}
		s.has("/target", value)
	}
	refused(1)
	taken(0, "absent")
	first := s.put("/g", "1")
	refused(0)
	refused(first - 1)
	refused(first + 1)
	taken(first, "first")
	second := s.put("/g", "1")
	refused(first)
	taken(second, "second")
	s.remove("/g")
	refused(second)
	taken(0, "deleted")
	again := s.put("/g", "1")
	refused(first)
	refused(second)
	taken(again, "again")
	_, err := s.A.Commit(s.ctx, journal.Txn{Guards: []journal.Guard{{Key: "/g", Version: again}, {Key: "/none", Version: 7}}})
	s.fails(err, journal.ErrConflict)
	if !strings.Contains(err.Error(), "/none") {
		s.Fatalf("%v does not name the key", err)
	}
	_, before := s.list(s.A, "/")
	if rev := s.commit(s.A, journal.Txn{Guards: []journal.Guard{{Key: "/g", Version: again}}}); rev != before {
		s.Fatalf("a commit without writes gave revision %d, the current one is %d", rev, before)
	}
}

func allOrNothing(s *stage) {
	s.put("/old", "stays")
	_, err := s.A.Commit(s.ctx, journal.Txn{
		Guards: []journal.Guard{{Key: "/x"}, {Key: "/old"}},
		Writes: []journal.Write{{Key: "/x", Value: []byte("1")}, {Key: "/old"}, {Key: "/y", Value: []byte("1")}},
	})
	s.fails(err, journal.ErrConflict)
	s.absent("/x")
	s.absent("/y")
	s.has("/old", "stays")
	t := txn("/x", "1", "/y", "2")
	t.Writes = append(t.Writes, journal.Write{Key: "/old"})
	rev := s.commit(s.A, t)
	s.absent("/old")
	for _, key := range []string{"/x", "/y"} {
		if e := s.get(s.B, key); e.Version != rev {
			s.Fatalf("%q has version %d, its commit %d", key, e.Version, rev)
		}
	}
}

func values(s *stage) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, v := range map[string][]byte{
		"empty": {}, "zero": {0}, "bytes": every, "not utf-8": {0xff, 0xfe},
		"largest": bytes.Repeat([]byte("0123456789abcdef"), journal.MaxValue/16),
	} {
		given := bytes.Clone(v)
		s.commit(s.A, journal.Txn{Writes: []journal.Write{{Key: "/v/" + name, Value: given}}})
		if len(given) > 0 {
			given[0]++ // the store must have a copy of its own
		}
		s.has("/v/"+name, string(v))
		if got := s.get(s.B, "/v/"+name).Value; len(got) > 0 {
			got[0]++
		}
		s.has("/v/"+name, string(v))
	}
}

func oddKeys(s *stage) {
	keys := []string{
		"/", "//", "a", "\x00", "/\x00/\xff", "\xff", "\xff\xff", "/üñí/çødé", "/new\nline", "/sp ace/'\"`$%*?",
		"/" + strings.Repeat("k", journal.MaxKey-1),
	}
	for _, key := range keys {
		s.put(key, "of "+key)
	}
	for _, key := range keys {
		s.has(key, "of "+key)
		found, _ := s.list(s.B, key)
		if len(found) == 0 || found[0].Key != key {
			s.Fatalf("list of %q does not begin with it", key)
		}
	}
	all, _ := s.list(s.A, "")
	slices.Sort(keys)
	if got := keysOf(all); !slices.Equal(got, keys) {
		s.Fatalf("listed %q, want %q", got, keys)
	}
	for _, key := range keys {
		s.remove(key)
		s.absent(key)
	}
}

func keysOf(entries []journal.Entry) []string {
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	return keys
}

func limits(s *stage) {
	many := journal.Txn{}
	for i := range journal.MaxOps {
		key := "/many/" + string(rune('a'+i))
		many.Guards = append(many.Guards, journal.Guard{Key: key})
		many.Writes = append(many.Writes, journal.Write{Key: key, Value: make([]byte, journal.MaxValue/journal.MaxOps)})
	}
	s.commit(s.A, many)
	long := strings.Repeat("k", journal.MaxKey+1)
	for name, t := range map[string]journal.Txn{
		"no key":         txn("", "v"),
		"long key":       txn(long, "v"),
		"twice":          txn("/a", "1", "/a", "2"),
		"leader":         txn(journal.LeaderKey("x"), "me"),
		"no guard key":   {Guards: []journal.Guard{{}}},
		"long guard key": {Guards: []journal.Guard{{Key: long}}},
		"large value":    txn("/a", string(make([]byte, journal.MaxValue+1))),
		"large values":   txn("/a", string(make([]byte, journal.MaxValue)), "/b", "1"),
		"many writes":    {Writes: append(slices.Clone(many.Writes), journal.Write{Key: "/one more"})},
		"many guards":    {Guards: append(slices.Clone(many.Guards), journal.Guard{Key: "/one more"})},
	} {
		if _, err := s.A.Commit(s.ctx, t); !errors.Is(err, journal.ErrInvalid) {
			s.Fatalf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	_, err := s.A.Get(s.ctx, "")
	s.fails(err, journal.ErrInvalid)
	s.absent("/a")
}

func list(s *stage) {
	for _, key := range []string{"/b/2", "/a", "/b", "/b/10", "/b/1", "/ba", "/c", "/b\xff"} {
		s.put(key, "v")
	}
	rev := s.remove("/c")
	for prefix, want := range map[string][]string{
		"":       {"/a", "/b", "/b/1", "/b/10", "/b/2", "/ba", "/b\xff"},
		"/b/":    {"/b/1", "/b/10", "/b/2"},
		"/b":     {"/b", "/b/1", "/b/10", "/b/2", "/ba", "/b\xff"},
		"/b\xff": {"/b\xff"},
		"/c":     {},
		"\xff":   {},
	} {
		found, at := s.list(s.B, prefix)
		if got := keysOf(found); !slices.Equal(got, want) {
			s.Fatalf("list %q: %q, want %q", prefix, got, want)
		}
		if at != rev {
			s.Fatalf("list %q at revision %d, want %d", prefix, at, rev)
		}
		for _, e := range found {
			if own := s.get(s.A, e.Key); own.Version != e.Version || !bytes.Equal(own.Value, e.Value) {
				s.Fatalf("listed %v, read %v", e, own)
			}
		}
	}
}

// wholeCommits writes two keys together, over and over, while another lists them.
func wholeCommits(s *stage) {
	const rounds = 200
	s.commit(s.A, txn("/pair/a", "", "/pair/b", ""))
	var writing errgroup.Group
	writing.Go(func() error {
		for i := range rounds {
			v := strings.Repeat("x", i)
			if _, err := s.A.Commit(s.ctx, txn("/pair/a", v, "/pair/b", v)); err != nil {
				return err
			}
		}
		return nil
	})
	newest := 0
	for newest < rounds-1 {
		found, rev := s.list(s.B, "/pair/")
		if len(found) != 2 || found[0].Version != found[1].Version || !bytes.Equal(found[0].Value, found[1].Value) {
			s.Fatalf("a list shows half a commit: %v", found)
		}
		if found[0].Version > rev || len(found[0].Value) < newest {
			s.Fatalf("version %d at revision %d, length %d after %d", found[0].Version, rev, len(found[0].Value), newest)
		}
		newest = len(found[0].Value)
		if s.ctx.Err() != nil {
			s.Fatal(s.ctx.Err())
		}
	}
	if err := writing.Wait(); err != nil {
		s.Fatal(err)
	}
}

func contexts(s *stage) {
	s.put("/a", "1")
	ended, cancel := contextWithCancel(s)
	cancel()
	if _, err := s.A.Get(ended, "/a"); !errors.Is(err, ended.Err()) {
		s.Errorf("get with an ended context: %v", err)
	}
	if _, _, err := s.A.List(ended, "/"); !errors.Is(err, ended.Err()) {
		s.Errorf("list with an ended context: %v", err)
	}
	if _, err := s.A.Commit(ended, txn("/a", "2")); !errors.Is(err, ended.Err()) {
		s.Errorf("commit with an ended context: %v", err)
	}
	if err := s.A.Watch(ended, "/", 0, ignore); !errors.Is(err, ended.Err()) {
		s.Errorf("watch with an ended context: %v", err)
	}
	if _, err := s.A.Lead(ended, "x", "a", s.Lease); !errors.Is(err, ended.Err()) {
		s.Errorf("lead with an ended context: %v", err)
	}
	s.has("/a", "1")
}
