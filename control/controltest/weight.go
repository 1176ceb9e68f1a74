package controltest

import (
	"fmt"
	"sync"

	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/mem"
)

// Weight tells how much is written to a journal. The zero value is ready.
type Weight struct {
	mu                   sync.Mutex
	writes, all, largest int
	key                  string
}

// Hooks let it see every transaction.
func (w *Weight) Hooks() mem.Options { return mem.Options{AfterCommit: w.see} }

func (w *Weight) see(txn journal.Txn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := 0
	for _, one := range txn.Writes {
		size += len(one.Value)
	}
	w.writes, w.all = w.writes+len(txn.Writes), w.all+size
	if size > w.largest {
		w.largest, w.key = size, txn.Writes[0].Key
	}
	return nil
}

// Take gives, for people, what was seen since it was taken before.
func (w *Weight) Take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.writes, w.all, w.largest, w.key = 0, 0, 0, "" }()
	return fmt.Sprintf("%d writes of %d kB; the largest transaction has %d kB, with %s", w.writes, w.all>>10, w.largest>>10, w.key)
}
