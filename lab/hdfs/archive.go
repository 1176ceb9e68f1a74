package hdfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// hdfsArchive is one class data archive for all JVMs of HDFS: daemons and clients.
const hdfsArchive = "hdfs.jsa"

// rehearse runs a cluster and a client once, so that their JVMs write down the classes that they load, and makes one archive of these
// and of those that only a pair of NameNodes and Kerberos need: a rehearsal with them would need a realm.
func rehearse(ctx context.Context, in install, archives string) error {
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "understudy-lab-rehearsal-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	in.lists = filepath.Join(dir, "lists")
	if err := os.MkdirAll(in.lists, 0o755); err != nil {
		return err
	}
	o := Options{Name: "rehearsal", Dir: dir, JVM: []string{in.listed()}}
	if err := o.check(); err != nil {
		return err
	}
	c, err := start(ctx, in, o)
	if err != nil {
		return err
	}
	err = rehearseClient(ctx, in, c)
	if err == nil {
		err = c.Stop(ctx)
	}
	if err := errors.Join(err, c.Close()); err != nil {
		return err
	}
	more, err := javaSources.ReadFile("java/secure.classes")
	if err == nil {
		err = os.WriteFile(filepath.Join(in.lists, "secure"), more, 0o600)
	}
	if err != nil {
		return err
	}
	return in.dump(ctx, filepath.Join(archives, hdfsArchive))
}

// rehearseClient does a little of everything that tests do most.
func rehearseClient(ctx context.Context, in install, c *Cluster) error {
	j, err := startClient(in, c.opts.Dir, jvm{more: []string{in.listed()}})
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
