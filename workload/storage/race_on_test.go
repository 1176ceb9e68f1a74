//go:build race

package storage_test

// raced says that the race detector slows everything down.
const raced = true
