package main

import (
	"io"
	"log/slog"

	"github.com/understudy-dr/understudy/spec"
)

// logger makes serve's log, on stderr.
func logger(w io.Writer, l spec.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
