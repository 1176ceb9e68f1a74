package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// machine is what orders are about: a server, or a part of one.
type machine interface {
	Kill() error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	Pause() error
	Resume() error
}

// inDirectory makes a temporary directory where none is given, and removes that one at the end.
func inDirectory(dir *string, do func() error) (err error) {
	if *dir != "" {
		return do()
	}
	if *dir, err = os.MkdirTemp("", "understudy-lab-"); err != nil {
		return err
	}
	return errors.Join(do(), os.RemoveAll(*dir))
}

// dirFlag is the flag for what inDirectory takes.
func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "", "directory for data and logs (default a temporary one, removed at the end)")
}

// runOne says where a server is, and ends it with the input, or with ctx.
func runOne(ctx context.Context, std streams, s interface {
	machine
	Close() error
}, where any) error {
	if err := printLine(std.out, where); err != nil {
		return errors.Join(err, s.Close())
	}
	err := eachLine(ctx, std.in, func([]byte) error { return nil })
	// The context has ended when a signal came; the server's end is bounded by itself.
	return errors.Join(err, s.Stop(context.WithoutCancel(ctx)), s.Close())
}

// order is one line of the standard input of several servers.
type order struct {
	// Do is kill, stop, start, pause, resume, shape or status.
	Do   string `json:"do"`
	Name string `json:"name"`
	// Shape is the new condition of the path to the server's WAN address.
	Shape *shape `json:"shape,omitempty"`
}

// parseOrder reads a JSON document, or the words DO NAME as a person types them.
func parseOrder(line []byte) (order, error) {
	var o order
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
		return o, json.Unmarshal(line, &o)
	}
	words := strings.Fields(string(line))
	if len(words) == 0 || len(words) > 2 {
		return o, errors.New("an order is a JSON document, or words such as: kill east")
	}
	o.Do = words[0]
	if len(words) == 2 {
		o.Name = words[1]
	}
	return o, nil
}

// perform carries out an order that every server takes.
func (o order) perform(ctx context.Context, m machine) error {
	switch o.Do {
	case "kill":
		return m.Kill()
	case "stop":
		return m.Stop(ctx)
	case "start":
		return m.Restart(ctx)
	case "pause":
		return m.Pause()
	case "resume":
		return m.Resume()
	}
	return fmt.Errorf("unknown order %q", o.Do)
}

// answer is one line of a pair's standard output: to an order, or the first one, which lists the servers.
type answer struct {
	Do       string       `json:"do"`
	Name     string       `json:"name,omitempty"`
	Error    string       `json:"error,omitempty"`
	Seconds  float64      `json:"seconds"`
	Servers  []server     `json:"servers,omitempty"`
	Clusters []fileSystem `json:"clusters,omitempty"`
}

// couple are the flags of two servers that take orders.
type couple struct {
	dir   string
	names []string
	// ports are the main ones; empty means free ones.
	ports []int
}

func (c *couple) flags(cmd *cobra.Command, what, ports string) {
	dirFlag(cmd, &c.dir)
	f := cmd.Flags()
	f.StringSliceVar(&c.names, "names", []string{"east", "west"}, "names of the two "+what)
	f.IntSliceVar(&c.ports, "ports", nil, "ports of the two "+ports+" (default free ones)")
}

// pair is two servers of a kind.
type pair[S any] struct {
	couple
	// start starts the one with a number, in a directory, on a port or a free one.
	start func(ctx context.Context, i int, name, dir string, port int) (S, error)
	// close ends one that was started: a pair's data are thrown away or were meant to survive it.
	close func(S)
	// list says in an answer what there is, and perform carries out an order.
	list    func(all []S, a *answer)
	perform func(ctx context.Context, all []S, o order) error
}

// run starts both, takes orders, and ends both.
func (p pair[S]) run(ctx context.Context, name string, std streams) error {
	if len(p.names) != 2 || p.names[0] == p.names[1] {
		return errors.New("a pair takes two names that differ")
	}
	if len(p.ports) != 0 && len(p.ports) != 2 {
		return errors.New("a pair takes two ports, or none")
	}
	start := time.Now()
	all, started := make([]S, len(p.names)), make([]bool, len(p.names))
	defer func() {
		for i, s := range all {
			if started[i] {
				p.close(s)
			}
		}
	}()
	group, starting := errgroup.WithContext(ctx)
	for i, name := range p.names {
		port := 0
		if len(p.ports) > 0 {
			port = p.ports[i]
		}
		group.Go(func() (err error) {
			all[i], err = p.start(starting, i, name, filepath.Join(p.dir, name), port)
			started[i] = err == nil
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return p.serve(ctx, name, std, all, start)
}

// serve says what there is, and takes orders.
func (p pair[S]) serve(ctx context.Context, name string, std streams, all []S, since time.Time) error {
	first := answer{Do: name, Seconds: time.Since(since).Seconds()}
	p.list(all, &first)
	if err := printLine(std.out, first); err != nil {
		return err
	}
	return eachLine(ctx, std.in, func(line []byte) error { return printLine(std.out, p.obey(ctx, all, line)) })
}

// obey carries out one order; what went wrong is in the answer.
func (p pair[S]) obey(ctx context.Context, all []S, line []byte) answer {
	start := time.Now()
	o, err := parseOrder(line)
	if err == nil && o.Do != "status" {
		err = p.perform(ctx, all, o)
	}
	a := answer{Do: o.Do, Name: o.Name, Seconds: time.Since(start).Seconds()}
	if err != nil {
		a.Error = err.Error()
	}
	p.list(all, &a)
	return a
}
