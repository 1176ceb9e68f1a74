package kafka

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// startLimit bounds a broker's start on a crowded machine; stopLimit its orderly end.
const (
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
)

// Broker is a single-node Kafka cluster, or one node of a Cluster. Its methods are not for concurrent use, except the addresses.
type Broker struct {
	in      install
	opts    Options
	ports   ports
	kept    *lab.Ports
	process *lab.Process
}

// Start starts a broker and returns when it accepts requests. The first start of a version on a machine
// fetches its jars and makes its archive, which takes a minute. Close it at the end.
func Start(ctx context.Context, o Options) (*Broker, error) {
	b, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := b.start(ctx); err != nil {
		b.kept.Release()
		return nil, err
	}
	return b, nil
}

// prepare has all that a broker needs before its start, and its ports.
func prepare(ctx context.Context, o Options) (*Broker, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("kafka %s: no directory given", o.Name)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	if o.ClusterID, err = chooseClusterID(o); err != nil {
		return nil, err
	}
	in, err := installed(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	if in, err = in.archived(ctx); err != nil {
		return nil, err
	}
	b := newBroker(in, o)
	return b, b.reserve()
}

func newBroker(in install, o Options) *Broker { return &Broker{in: in, opts: o} }

// reserve takes the ports that the broker keeps through kills and restarts.
func (b *Broker) reserve() error {
	kept, err := lab.Reserve(4)
	if err != nil {
		return err
	}
	b.kept = kept
	b.ports = ports{plain: b.opts.Port, controller: kept.Numbers[1]}
	if b.ports.plain == 0 {
		b.ports.plain = kept.Numbers[0]
	}
	if b.opts.Authorizer {
		b.ports.sasl = kept.Numbers[2]
	}
	if b.opts.WAN != nil {
		b.ports.wan = kept.Numbers[3]
		b.opts.WAN.Forward(lab.Loopback(b.ports.wan))
	}
	return nil
}

// start formats the storage where it is new, starts the JVM and waits until the broker is ready.
func (b *Broker) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	data, file := filepath.Join(b.opts.Dir, "data"), filepath.Join(b.opts.Dir, "server.properties")
	if err := os.MkdirAll(b.opts.Dir, 0o755); err != nil {
		return err
	}
	o := b.opts
	o.crashed = crashed(data)
	if err := format(ctx, b.in, data, o.ClusterID, o.place.id()); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(o.properties(b.ports, data)), 0o644); err != nil {
		return err
	}
	args := b.opts.jvmArgs()
	if b.in.archives != "" {
		args = append(args, lab.SharedArchive(filepath.Join(b.in.archives, brokerArchive))...)
	}
	p, err := lab.Start(lab.Command{
		Name: "kafka " + b.opts.Name,
		Path: b.in.jdk.Java(),
		Args: append(args, "-cp", b.in.classpath, "kafka.Kafka", file),
		Dir:  b.opts.Dir,
		Log:  filepath.Join(b.opts.Dir, "broker.log"),
	})
	if err != nil {
		return err
	}
	if err := p.WaitLog(ctx, regexp.MustCompile(`Kafka Server started`)); err != nil {
		_ = p.Kill()
		return err
	}
	b.process = p
	return nil
}

// Addr is the plain listener's host:port.
func (b *Broker) Addr() string { return lab.Loopback(b.ports.plain) }

// SASLAddr is the SASL/PLAIN listener's host:port; empty without Authorizer.
func (b *Broker) SASLAddr() string {
	if b.ports.sasl == 0 {
		return ""
	}
	return lab.Loopback(b.ports.sasl)
}

// WANAddr is the address that clients of another site dial; empty without WAN.
func (b *Broker) WANAddr() string {
	if b.opts.WAN == nil {
		return ""
	}
	return b.opts.WAN.Addr()
}

// ClusterID is the cluster's id.
func (b *Broker) ClusterID() string { return b.opts.ClusterID }

// Version is the server's version.
func (b *Broker) Version() string { return b.opts.Version }

// Name is the name given in the options.
func (b *Broker) Name() string { return b.opts.Name }

// Log is the path of the server's log, which goes on over restarts.
func (b *Broker) Log() string { return filepath.Join(b.opts.Dir, "broker.log") }

// PID is the process id of the latest start.
func (b *Broker) PID() int { return b.process.PID() }

// Done is closed when the process of the latest start has ended.
func (b *Broker) Done() <-chan struct{} { return b.process.Done() }

// Running says whether the process lives; a paused one does.
func (b *Broker) Running() bool { return b.process.Running() }

// Set changes a server property for the next Restart.
func (b *Broker) Set(name, value string) {
	changed := map[string]string{name: value}
	for k, v := range b.opts.Properties {
		if k != name {
			changed[k] = v
		}
	}
	b.opts.Properties = changed
}

// Stop ends the server in good order; Restart may follow.
func (b *Broker) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return b.process.Stop(ctx)
}

// Kill ends the server as a power cut would (kill -9); Restart may follow.
func (b *Broker) Kill() error { return b.process.Kill() }

// Restart starts the server again with the same data, ports and cluster id. A running one is stopped first.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Stop(ctx); err != nil {
		return err
	}
	return b.start(ctx)
}

// Pause freezes the server with its connections open.
func (b *Broker) Pause() error { return b.process.Pause() }

// Resume lets a paused server go on.
func (b *Broker) Resume() error { return b.process.Resume() }

// Close kills the server and gives its ports back. The directory stays.
func (b *Broker) Close() error {
	defer b.kept.Release()
	if b.process == nil {
		return nil
	}
	return b.process.Kill()
}
