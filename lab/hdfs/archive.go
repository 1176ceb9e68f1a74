package hdfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// rehearse runs a cluster and a client once, so that their JVMs write down the classes that they loaded.
func rehearse(ctx context.Context, in install, archives string) error {
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "understudy-lab-rehearsal-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	o := Options{Name: "rehearsal", Dir: dir, JVM: []string{"-XX:ArchiveClassesAtExit=" + filepath.Join(archives, serverArchive)}}
	if err := o.check(); err != nil {
		return err
	}
	c, err := start(ctx, in, o)
	if err != nil {
		return err
	}
	err = rehearseClient(ctx, in, c, filepath.Join(archives, clientArchive))
	if err == nil {
		err = c.Stop(ctx)
	}
	if err := errors.Join(err, c.Close()); err != nil {
		return err
	}
	for _, name := range []string{serverArchive, clientArchive} {
		if _, err := os.Stat(filepath.Join(archives, name)); err != nil {
			return fmt.Errorf("the JVM wrote no class data archive: %w", err)
		}
	}
	return nil
}

// rehearseClient does a little of everything that tests do most.
func rehearseClient(ctx context.Context, in install, c *Cluster, archive string) error {
	j, err := startClient(in, c.opts.Dir, jvm{more: []string{"-XX:ArchiveClassesAtExit=" + archive}})
	if err != nil {
		return err
	}
	a := c.Access()
	err = func() error {
		if err := j.Put(ctx, a, File{Path: "/d/f", Size: 3 << 20, BlockSize: 1 << 20}); err != nil {
			return err
		}
		if err := j.AllowSnapshots(ctx, a, "/d"); err != nil {
			return err
		}
		if err := j.Snapshot(ctx, a, "/d", "s"); err != nil {
			return err
		}
		if err := j.Rename(ctx, a, "/d/f", "/d/g"); err != nil {
			return err
		}
		if _, err := j.Changes(ctx, a, "/d", "s", ""); err != nil {
			return err
		}
		if _, err := j.Read(ctx, a, "/d/g"); err != nil {
			return err
		}
		if _, err := j.Events(ctx, a, 0); err != nil {
			return err
		}
		_, err := j.Dump(ctx, a, "/")
		return err
	}()
	return errors.Join(err, j.Close())
}
