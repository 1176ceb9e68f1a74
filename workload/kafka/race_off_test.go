//go:build !race

package kafka_test

// raced says that the race detector slows everything down.
const raced = false
