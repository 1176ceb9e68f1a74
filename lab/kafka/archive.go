package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// rehearse starts a broker once so that the JVM writes down the classes that it loaded.
func rehearse(ctx context.Context, in install, archive string) error {
	dir, err := os.MkdirTemp("", "understudy-lab-rehearsal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := newBroker(in, Options{
		Version: in.version, Name: "rehearsal", Dir: dir, ClusterID: NewClusterID(),
		JVM: []string{"-XX:ArchiveClassesAtExit=" + archive},
	})
	if err := b.reserve(); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return errors.Join(err, b.Close())
	}
	if err := b.Stop(ctx); err != nil {
		return errors.Join(err, b.Close())
	}
	if _, err := os.Stat(archive); err != nil {
		return errors.Join(fmt.Errorf("the JVM wrote no class data archive, see its log: %w", err), b.Close())
	}
	return b.Close()
}
