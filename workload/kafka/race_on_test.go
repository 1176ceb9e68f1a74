//go:build race

package kafka_test

// raced says that the race detector slows everything down.
const raced = true

// ordinary is the stride of an ordinary sweep, here one crash: the detector makes simulated clusters slow,
// and the sweep runs once more without it.
const ordinary = 0
