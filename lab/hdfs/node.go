package hdfs

import (
	"context"
	"regexp"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// Bounds of a start and an orderly end on a crowded machine.
const (
	startLimit = 3 * time.Minute
	stopLimit  = 30 * time.Second
)

// Node is one JVM of a cluster, with one or more daemons in it.
type Node struct {
	name, log string
	daemons   []*daemon
	// command says how to start it; takeOver makes a NameNode of a pair active.
	command func(takeOver bool) (lab.Command, error)
	// serving waits until what it belongs to serves.
	serving func(ctx context.Context) error
	process *lab.Process
	paused  bool
}

// Name is that of its first daemon: nn1, nn2, jn1, dn1 and so on; of YARN, rm and nm.
func (n *Node) Name() string { return n.name }

// Log is the path of its log, which goes on over restarts.
func (n *Node) Log() string { return n.log }

// PID is the process id of the latest start.
func (n *Node) PID() int { return n.process.PID() }

// Done is closed when the process of the latest start has ended.
func (n *Node) Done() <-chan struct{} { return n.process.Done() }

// Running says whether the process lives; a paused one does.
func (n *Node) Running() bool { return n.process != nil && n.process.Running() }

// Stop ends the JVM in good order; Restart may follow.
func (n *Node) Stop(ctx context.Context) error {
	if n.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return n.process.Stop(ctx)
}

// Kill ends the JVM as a power cut would (kill -9); Restart may follow.
func (n *Node) Kill() error {
	if n.process == nil {
		return nil
	}
	return n.process.Kill()
}

// Pause freezes the JVM with its connections open.
func (n *Node) Pause() error {
	n.paused = true
	return n.process.Pause()
}

// Resume lets a paused JVM go on.
func (n *Node) Resume() error {
	n.paused = false
	return n.process.Resume()
}

// awake says whether the JVM can answer.
func (n *Node) awake() bool { return n.Running() && !n.paused }

// Restart starts the JVM again with the same data and ports, a running one after a Stop, and returns when the
// cluster serves: a DataNode waits for its NameNode, and a NameNode for the DataNodes that run and are not paused. A
// NameNode of a pair comes back as standby.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Stop(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := n.start(ctx, false); err != nil {
		return err
	}
	return n.serving(ctx)
}

// start starts the JVM and waits until its daemons are up; takeOver makes a NameNode of a pair active.
func (n *Node) start(ctx context.Context, takeOver bool) error {
	if err := n.launch(takeOver); err != nil {
		return err
	}
	return n.ready(ctx)
}

// launch starts the JVM and returns at once.
func (n *Node) launch(takeOver bool) error {
	command, err := n.command(takeOver)
	if err != nil {
		return err
	}
	p, err := lab.Start(command)
	if err == nil {
		n.process, n.paused = p, false
	}
	return err
}

// ready waits until the daemons of the latest start are up.
func (n *Node) ready(ctx context.Context) error { return n.said(ctx, "READY") }

// said waits for a line of our Java server.
func (n *Node) said(ctx context.Context, word string) error {
	return n.process.WaitLog(ctx, regexp.MustCompile(`(?m)^lab: `+word+`$`))
}
