//go:build race

package control

// raced shortens the exploration: it is one goroutine, in which the race detector can find nothing.
const raced = true
