package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// rehearse runs a broker and a client once, so that their JVMs write down the classes that they loaded.
func rehearse(ctx context.Context, in install, archives string) error {
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "understudy-lab-rehearsal-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := newBroker(in, Options{
		Version: in.version, Name: "rehearsal", Dir: dir, ClusterID: NewClusterID(),
		JVM: []string{"-XX:ArchiveClassesAtExit=" + filepath.Join(archives, brokerArchive)},
	})
	if err := b.reserve(); err != nil {
		return err
	}
	err = b.start(ctx)
	if err == nil {
		err = rehearseClient(ctx, in, b, filepath.Join(archives, clientArchive))
	}
	if err == nil {
		err = b.Stop(ctx)
	}
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	for _, name := range []string{brokerArchive, clientArchive} {
		if _, err := os.Stat(filepath.Join(archives, name)); err != nil {
			return fmt.Errorf("the JVM wrote no class data archive: %w", err)
		}
	}
	return nil
}

// rehearseClient does a little of everything that tests do most.
func rehearseClient(ctx context.Context, in install, b *Broker, archive string) error {
	c, err := startClient(ctx, in, b.opts.Dir, "-XX:ArchiveClassesAtExit="+archive)
	if err != nil {
		return err
	}
	err = func() error {
		if err := c.CreateTopics(ctx, b.Access(), Topic{Name: "t", Partitions: 1}); err != nil {
			return err
		}
		p, err := c.Producer(ctx, b.Access(), map[string]string{"transactional.id": "t"})
		if err != nil {
			return err
		}
		if err := p.Begin(ctx); err != nil {
			return err
		}
		if _, err := p.Send(ctx, Out{Topic: "t", Value: []byte("v")}); err != nil {
			return err
		}
		if err := p.Commit(ctx); err != nil {
			return err
		}
		_, err = c.Dump(ctx, b.Access(), ReadCommitted, "t")
		return err
	}()
	return errors.Join(err, c.Close())
}
