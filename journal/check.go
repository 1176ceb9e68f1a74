package journal

import (
	"strings"
	"time"
)

// Check returns ErrInvalid for a transaction that breaks a limit of the contract. Every implementation calls it
// before it writes, so that what one store takes no other refuses.
func (t Txn) Check() error {
	if len(t.Guards) > MaxOps || len(t.Writes) > MaxOps {
		return invalid("%d guards and %d writes in one transaction; the limit is %d of each", len(t.Guards), len(t.Writes), MaxOps)
	}
	for _, g := range t.Guards {
		if err := CheckKey(g.Key); err != nil {
			return err
		}
	}
	size, seen := 0, map[string]bool{}
	for _, w := range t.Writes {
		if err := checkWrite(w, seen); err != nil {
			return err
		}
		seen[w.Key] = true
		size += len(w.Value)
	}
	if size > MaxValue {
		return invalid("values of %d bytes in one transaction; the limit is %d", size, MaxValue)
	}
	return nil
}

func checkWrite(w Write, seen map[string]bool) error {
	if err := CheckKey(w.Key); err != nil {
		return err
	}
	if strings.HasPrefix(w.Key, LeaderPrefix) {
		return invalid("%q belongs to a leadership; only Lead and Resign write it", w.Key)
	}
	if seen[w.Key] {
		return invalid("%q is written twice in one transaction", w.Key)
	}
	return nil
}

// CheckKey returns ErrInvalid for a key that is empty or too long.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return invalid("a key of %d bytes; keys have 1 to %d", len(key), MaxKey)
	}
	return nil
}

// MinLease is the shortest lease that Lead takes.
const MinLease = 100 * time.Millisecond

// CheckLead returns ErrInvalid for what no store can lead by: a bad name, no holder, or too short a lease.
func CheckLead(name, holder string, lease time.Duration) error {
	if err := CheckKey(name); err != nil {
		return err
	}
	if err := CheckKey(LeaderKey(name)); err != nil {
		return err
	}
	if holder == "" || len(holder) > MaxKey {
		return invalid("a holder of %d bytes leading %q; holders have 1 to %d", len(holder), name, MaxKey)
	}
	if lease < MinLease {
		return invalid("a lease of %v for %q; the shortest is %v", lease, name, MinLease)
	}
	return nil
}

// Margin is the part of a lease by which Leadership.Deadline lies before its end. It covers the difference in speed
// between the clocks of holder and store, and a pause between looking at the clock and sending.
func Margin(lease time.Duration) time.Duration { return lease / 10 }

// RenewEvery is the time between two renewals of a lease: short enough for two to be missed.
func RenewEvery(lease time.Duration) time.Duration { return lease / 4 }
