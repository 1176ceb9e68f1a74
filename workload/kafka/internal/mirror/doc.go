// Package mirror moves one link of a Kafka workload: it keeps the topics of one cluster on another with the
// same offset for each record, and their consumer groups' positions. It must not know when to run, which
// site is active, nor how a takeover is done: it follows one assignment until its context ends.
//
// What makes a crash harmless is that the target's own log is the only checkpoint: the next offset to copy
// is where the target ends, and the leader's memory of our producer id makes each append of data a
// compare-and-append. Transaction markers, which take the place of everything a consumer does not see, have
// no such arbiter: they are written only under the lease, when nothing else is in flight on the partition,
// and when its end was read again and is the expected one.
package mirror
