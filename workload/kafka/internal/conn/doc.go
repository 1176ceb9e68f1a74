// Package conn speaks to one Kafka broker over one pipelined connection: requests leave in call order, many
// may be in flight, and every byte is bounded by a lease. It must not know topics, offsets or what a mirror is.
//
// A connection owns no goroutine. Whoever waits for an answer reads the socket in turn, for itself and for
// those before it; so nothing is left running when the last caller has returned.
package conn
