package control

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// TestAMemoryIsRecollectedAsLongAsItsEntriesAreTheSame also scribbles on what it is given: workloads own it.
func TestAMemoryIsRecollectedAsLongAsItsEntriesAreTheSame(t *testing.T) {
	var m memories
	orders := understudy.Object{Plan: "contoso", Workload: "orders"}
	all, since := journal.Entry{Key: keyKeepAll(orders), Version: 7}, journal.Entry{Key: keyKeepSince(orders), Version: 7}
	given := understudy.Keep{"topic": []byte("retention")}
	m.put(orders, []journal.Entry{all, since}, given)
	given["topic"][0] = 'X'
	for range 2 {
		k, ok := m.recollected(orders, []journal.Entry{all, since})
		if !ok || len(k) != 1 || string(k["topic"]) != "retention" {
			t.Fatalf("it remembers %q, %v", k, ok)
		}
		k["topic"][0], k["more"] = 'X', []byte("more")
	}
	later := since
	later.Version = 9
	for name, entries := range map[string][]journal.Entry{
		"changed": {all, later}, "less": {all}, "the other one": {since}, "nothing": nil,
	} {
		if _, ok := m.recollected(orders, entries); ok {
			t.Errorf("%s: it was made of other entries", name)
		}
	}
	if _, ok := m.recollected(understudy.Object{Plan: "contoso", Workload: "raw"}, []journal.Entry{all, since}); ok {
		t.Error("another workload's memory was given")
	}
}
