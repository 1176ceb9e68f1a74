package etcd

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// quiet is etcd's logger: its warnings and errors go to ours, the rest nowhere. Where etcd would end the process
// (it does so when it cannot write its log), failed is called instead and that goroutine of etcd never goes on.
func quiet(log *slog.Logger, failed func(message string, err error)) *zap.Logger {
	hook := &parking{failed: failed}
	return zap.New(&slogCore{log: log}, zap.WithFatalHook(hook), zap.WithPanicHook(hook))
}

// slogCore passes zap's entries to slog.
type slogCore struct {
	log *slog.Logger
}

// Enabled leaves out what etcd says in ordinary times.
func (c *slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With keeps the fields for all later entries.
func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log.With(attributes(fields)...)}
}

// Check adds this core to the entry when its level is wanted.
func (c *slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write logs the entry, one level lower than etcd means it: an error after which etcd goes on is one that it will
// try again.
func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelDebug
	switch {
	case e.Level > zapcore.ErrorLevel:
		level = slog.LevelError
	case e.Level == zapcore.ErrorLevel && !ordinary(e.Message):
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "etcd: "+e.Message, attributes(fields)...)
	return nil
}

// ordinary names what etcd calls errors although they belong to every second start, before its first snapshot, and
// to a stop soon after the start.
func ordinary(message string) bool {
	return message == "failed to update storage version" || message == "failed to update cluster version"
}

// Sync does nothing: slog keeps no buffer.
func (c *slogCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	var keys []string
	for _, f := range fields {
		f.AddTo(m)
		keys = append(keys, f.Key)
	}
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k, m.Fields[k])
	}
	return args
}

// parking stops the goroutine that met an error etcd does not go on from. Returning would run on with broken state,
// and ending the process, which is etcd's way, would not let links drain.
type parking struct {
	failed func(message string, err error)
}

// OnWrite reports the error and never returns.
func (p *parking) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	var cause error
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok {
			cause = err
		}
	}
	p.failed(e.Message, cause)
	select {}
}
