package mem

import (
	"context"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/journal"
)

// leadership renews itself by arithmetic: as long as it is not frozen, the newest renewal is the last multiple of
// RenewEvery that has passed. So nothing runs in the background while somebody leads.
type leadership struct {
	store *Store
	owner *Journal
	name  string
	term  int64
	lease time.Duration

	// renewed, frozen and timers are guarded by the store's mutex.
	renewed time.Time
	// frozen is the moment at which renewing stopped; zero while it goes on.
	frozen time.Time
	timers []*time.Timer

	once sync.Once
	lost chan struct{}
}

// nameOf names a leadership in errors.
func nameOf(l journal.Leadership) string {
	if own, ok := l.(*leadership); ok {
		return own.name
	}
	return "unknown"
}

// Term is the revision at which the leadership began.
func (l *leadership) Term() int64 { return l.term }

// Deadline lies a lease less its margin after the newest renewal.
func (l *leadership) Deadline() time.Time {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.frozen.IsZero() {
		l.renew(time.Now())
	}
	return l.deadline()
}

// Lost is closed when the leadership has ended.
func (l *leadership) Lost() <-chan struct{} { return l.lost }

// Resign ends the leadership at once.
func (l *leadership) Resign(context.Context) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.freeze(time.Now())
	l.store.release(l)
	l.lose()
	return nil
}

// renew counts the renewals that have passed by now. The caller holds the store's mutex.
func (l *leadership) renew(now time.Time) {
	every := journal.RenewEvery(l.lease)
	l.renewed = l.renewed.Add(now.Sub(l.renewed) / every * every)
}

// freeze stops the renewals. The caller holds the store's mutex.
func (l *leadership) freeze(now time.Time) {
	if l.frozen.IsZero() {
		l.renew(now)
		l.frozen = now
	}
	for _, t := range l.timers {
		t.Stop()
	}
	l.timers = nil
}

func (l *leadership) deadline() time.Time {
	return l.renewed.Add(l.lease - journal.Margin(l.lease))
}

// lose tells the holder. It takes no lock, so that timers and the store may call it.
func (l *leadership) lose() { l.once.Do(func() { close(l.lost) }) }
