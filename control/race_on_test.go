//go:build race

package control_test

// raced says that the race detector slows everything down: sweeps then take few of the crashes.
const raced = true
