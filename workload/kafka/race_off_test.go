//go:build !race

package kafka_test

// raced says that the race detector slows everything down.
const raced = false

// ordinary is the stride of an ordinary sweep.
const ordinary = 30
