package lab

import (
	"context"
	"errors"
	"os"
	"regexp"
	"time"
)

// stopLimit bounds the orderly end of a daemon on a crowded machine.
const stopLimit = 20 * time.Second

// Daemon is a server that is one process, and keeps its ports and its data from start to start. Types of servers embed it.
type Daemon struct {
	name    string
	ports   *Ports
	limit   time.Duration
	command func() Command
	ready   func(context.Context, *Process) error
	process *Process
}

// NewDaemon gives a daemon that does not run yet, and owns the ports from here on. Restart starts it, with what command says,
// and returns when ready does, at the latest after limit.
func NewDaemon(name string, ports *Ports, limit time.Duration, command func() Command, ready func(context.Context, *Process) error) *Daemon {
	return &Daemon{name: name, ports: ports, limit: limit, command: command, ready: ready}
}

// Restart starts the server with the same data and ports. A running one is stopped first.
func (d *Daemon) Restart(ctx context.Context) error {
	if d.process != nil {
		if err := d.Stop(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	p, err := Start(d.command())
	if err != nil {
		return err
	}
	d.process = p
	if err := d.ready(ctx, p); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

// Begin is the first Restart; a daemon that does not start gives its ports back.
func (d *Daemon) Begin(ctx context.Context) error {
	if err := d.Restart(ctx); err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// Says is the ready of a daemon that writes a line when it serves.
func Says(line string) func(context.Context, *Process) error {
	return func(ctx context.Context, p *Process) error {
		return p.WaitLog(ctx, regexp.MustCompile(regexp.QuoteMeta(line)))
	}
}

// PID is the process id of the latest start.
func (d *Daemon) PID() int { return d.process.PID() }

// Done is closed when the process of the latest start has ended.
func (d *Daemon) Done() <-chan struct{} { return d.process.Done() }

// Stop ends the server in good order; Restart may follow.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return d.process.Stop(ctx)
}

// Kill ends the server at once (kill -9); Restart may follow.
func (d *Daemon) Kill() error { return d.process.Kill() }

// Pause freezes the server with its connections open.
func (d *Daemon) Pause() error { return d.process.Pause() }

// Resume lets a paused server go on.
func (d *Daemon) Resume() error { return d.process.Resume() }

// Close kills the server and gives its ports back. The directory stays.
func (d *Daemon) Close() error {
	defer d.ports.Release()
	if d.process == nil {
		return nil
	}
	return d.process.Kill()
}

// Boot starts a server for a test, in the test's temporary directory, and kills it when the test ends.
func Boot[S interface{ EndWith(Test) }](t Test, start func(ctx context.Context, dir string) (S, error)) S {
	s, err := start(context.Background(), t.TempDir())
	Check(t, err)
	s.EndWith(t)
	return s
}

// EndWith kills the server when the test ends, and shows its log when the test failed.
func (d *Daemon) EndWith(t Test) {
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Logf("close %s: %v", d.name, err)
		}
		if log, err := os.ReadFile(d.process.Log()); err == nil && t.Failed() {
			t.Logf("log of %s:\n%s", d.name, log)
		}
	})
}
