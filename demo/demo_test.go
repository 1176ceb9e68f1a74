package demo

import (
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestStory(t *testing.T) {
	began := time.Now()
	r, err := Play(t.Context(), Options{Audience: &Prose{W: os.Stdout}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	t.Logf("%+v in %s", r, time.Since(began))
	if err != nil {
		t.Fatal(err)
	}
}
