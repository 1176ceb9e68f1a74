package main

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
)

// The first signal drains, the second stops at once and a serve that has ended hears none.
func TestTwoSignals(t *testing.T) {
	signals, done, ended := make(chan os.Signal), make(chan struct{}), make(chan struct{})
	did := make(chan string, 4)
	go func() {
		defer close(ended)
		twoSignals(signals, done, func() { did <- "drain" }, func() { did <- "stop" }, slog.New(slog.DiscardHandler))
	}()
	signals <- os.Interrupt
	if got := <-did; got != "drain" {
		t.Fatalf("the first signal did %s", got)
	}
	select {
	case got := <-did:
		t.Fatalf("one signal did %s as well", got)
	default:
	}
	signals <- syscall.SIGTERM
	<-ended
	if got := <-did; got != "stop" {
		t.Fatalf("the second signal did %s", got)
	}
}

func TestTwoSignalsEndWithServe(t *testing.T) {
	for _, sent := range []int{0, 1} {
		signals, done, ended := make(chan os.Signal), make(chan struct{}), make(chan struct{})
		did := make(chan string, 2)
		go func() {
			defer close(ended)
			twoSignals(signals, done, func() { did <- "drain" }, func() { did <- "stop" }, slog.New(slog.DiscardHandler))
		}()
		for range sent {
			signals <- os.Interrupt
		}
		close(done)
		<-ended
		if len(did) != sent {
			t.Errorf("after %d signals %d acts", sent, len(did))
		}
	}
}
