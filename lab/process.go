package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// probeEvery is how often a log file or a port is looked at while waiting for it.
const probeEvery = 10 * time.Millisecond

// Command says how to start a process.
type Command struct {
	// Name is used in errors, such as "kafka east".
	Name string
	Path string
	Args []string
	// Env is added to this process's environment.
	Env []string
	Dir string
	// Log is the file that gets what the process prints. It is appended to.
	Log string
	// Stdin and Stdout, where they are set, replace nothing and the log.
	Stdin  *os.File
	Stdout *os.File
	// attributes, where they are set, are those of the child instead of the usual ones.
	attributes *syscall.SysProcAttr
}

// Process is a running child. It is killed with its whole process group by Kill, and by the system when
// this process ends in whatever way (on Linux).
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	from int64
	done chan struct{}
	err  error
}

// Start starts the command and returns at once.
func Start(c Command) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = log, log
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	cmd.SysProcAttr = childAttributes()
	if c.attributes != nil {
		cmd.SysProcAttr = c.attributes
	}
	p := &Process{name: c.Name, cmd: cmd, log: c.Log, from: size, done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

// run starts the child and waits for it on one system thread: the parent-death signal follows the thread
// that forked, not the process. It ends when the child has ended.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode waits for the end and gives the exit status; -1 after a signal.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Log returns the path of the log file.
func (p *Process) Log() string { return p.log }

// Running says whether the process has not ended yet; a paused one is running.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stop asks the process to end (SIGTERM) and waits. When ctx ends first it is killed, and that is an error.
func (p *Process) Stop(ctx context.Context) error {
	if !p.Running() {
		return nil
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop %s: %w", p.name, ctx.Err()), p.Kill())
	}
}

// Kill ends the process and its group at once (SIGKILL), also when paused, and waits until it is gone.
func (p *Process) Kill() error {
	if !p.Running() {
		return nil
	}
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return err
}

// Pause stops the process in its tracks (SIGSTOP); its connections stay open.
func (p *Process) Pause() error {
	err := p.signal(syscall.SIGSTOP)
	if err == nil && p.Running() {
		awaitStopped(p.PID())
	}
	return err
}

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

// signal sends to the whole group, of which the child is the leader.
func (p *Process) signal(s syscall.Signal) error {
	err := syscall.Kill(-p.PID(), s)
	if errors.Is(err, syscall.ESRCH) && !p.Running() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send %v to %s: %w", s, p.name, err)
	}
	return nil
}

// WaitLog waits until the process has printed a line that matches, since it was started. It fails with the
// end of the log when the process ends or ctx does.
func (p *Process) WaitLog(ctx context.Context, line *regexp.Regexp) error {
	from := p.from
	return p.wait(ctx, fmt.Sprintf("log line %q", line), func() bool {
		text := p.output(from)
		// Whole lines are looked at once: a server's start may print ten thousand, and is looked at a hundred times a second.
		from += int64(bytes.LastIndexByte(text, '\n') + 1)
		return line.Match(text)
	})
}

// WaitPort waits until the process accepts connections on the address.
func (p *Process) WaitPort(ctx context.Context, addr string) error {
	return p.wait(ctx, "port "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// wait probes until it succeeds, the process ends, or ctx does.
func (p *Process) wait(ctx context.Context, what string, probe func() bool) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for !probe() {
		select {
		case <-p.done:
			if probe() {
				return nil
			}
			return fmt.Errorf("%s ended (%v) before %s:\n%s", p.name, p.err, what, lastLines(string(p.output(p.from)), 20))
		case <-ctx.Done():
			return fmt.Errorf("%s: wait for %s: %w:\n%s", p.name, what, ctx.Err(), lastLines(string(p.output(p.from)), 20))
		case <-tick.C:
		}
	}
	return nil
}

// output reads what was logged from a place on; since the start, from p.from.
func (p *Process) output(from int64) []byte {
	f, err := os.Open(p.log)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil
	}
	return b
}
