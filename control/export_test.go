package control

import "github.com/understudy-dr/understudy"

// Above is above, for tests from outside.
var Above = above

// Add is add, for tests from outside.
func (l *LedgerRecord) Add(e understudy.LedgerEntry) { l.add(e) }
