package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

func (a *app) validateCommand() *cobra.Command {
	live := false
	var files []string
	c := &cobra.Command{
		Use: "validate -f FILE|DIR", Short: "Check site and plan files, without any network, or with --live against the clusters",
		Long: `Check site and plan files, without any network, or with --live against the clusters. The files are named with -f, as
for diff and apply, or simply one after another.`,
		RunE: func(c *cobra.Command, given []string) error {
			if given = append(files, given...); len(given) == 0 {
				return usageError(c, errors.New("no file is named"))
			}
			if live {
				return a.tryFiles(c.Context(), given)
			}
			set, err := readSet(spec.Set{}, given)
			if err != nil {
				return a.problems(err)
			}
			a.remark(set)
			told := map[string]any{"sites": len(set.Sites), "plans": len(set.Plans), "digest": set.Digest()}
			if len(set.Notes) > 0 {
				told["notes"] = set.Notes
			}
			return a.write(told, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "valid: %d sites, %d plans\n", len(set.Sites), len(set.Plans))
				return err
			})
		},
	}
	filesFlag(c, &files)
	c.Flags().BoolVar(&live, "live", false, "have serve look at the clusters, rights and clocks too, as doctor does for what is applied; nothing is applied")
	return c
}

// tryFiles has the control plane look at the clusters that the files name, together with what is applied.
func (a *app) tryFiles(ctx context.Context, files []string) error {
	cl := a.client()
	defer cl.Close()
	_, next, _, err := a.changes(ctx, cl, files)
	if err != nil {
		return err
	}
	f, err := cl.Try(ctx, next.Canonical())
	if err != nil {
		return a.placed(next, err)
	}
	return a.writeFindings(f)
}

func readSet(base spec.Set, paths []string) (spec.Set, error) {
	sources, err := spec.Files(paths...)
	if err != nil {
		return spec.Set{}, err
	}
	return spec.Parse(all.Registry(), base, sources...)
}

// problems tells everything that is wrong with files, each with its place, and ends with the status for it.
func (a *app) problems(err error) error {
	var ps spec.Problems
	if !errors.As(err, &ps) || a.output == "json" || a.output == "jsonl" {
		return err
	}
	a.say("%s", strings.TrimRight(ps.Render(), "\n"))
	return &exitError{status: exitUsage, err: err, quiet: true}
}

// remark tells people what is valid in files and hardly meant. What is applied already was told when it was.
func (a *app) remark(set spec.Set) {
	notes := slices.DeleteFunc(slices.Clone(set.Notes), func(p *spec.Problem) bool { return p.File == applied })
	if len(notes) > 0 && a.output == "table" {
		a.say("%s", strings.TrimRight(notes.Render(), "\n"))
	}
}

// applied is the name of what is applied already, where files have theirs.
const applied = "applied documents"

// placed tells what serve refuses of a set at its places in the files, where serve knows only their canonical text.
func (a *app) placed(set spec.Set, err error) error {
	var ps spec.Problems
	if errors.As(err, &ps) {
		return a.problems(set.At(ps))
	}
	return err
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of site and plan files, for editors", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			b, err := spec.Schema(all.Registry())
			if err != nil {
				return err
			}
			_, err = a.out.Write(append(b, '\n'))
			return err
		},
	}
}

func (a *app) initCommand() *cobra.Command {
	reg, kind := all.Registry(), ""
	var names []string
	for _, k := range reg.Kinds() {
		names = append(names, string(k.Name))
	}
	c := &cobra.Command{
		Use: "init [--kind KIND]", Short: "Print a first site and plan file, with comments", Args: args(cobra.NoArgs),
		Long: `Print a first site and plan file, with comments, to standard output: two sites, and a plan with one workload of the kind.
It is valid as it stands. Change the addresses, then check it with understudy validate.`,
		Example: "  understudy init > plan.yaml\n  understudy init --kind storage > plan.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			k, ok := reg.Kind(understudy.KindName(kind))
			if !ok {
				return usageError(c, fmt.Errorf("unknown kind %q: %s", kind, strings.Join(names, ", ")))
			}
			_, err := io.WriteString(a.out, spec.Init(k))
			return err
		},
	}
	c.Flags().StringVar(&kind, "kind", names[0], "what is to be protected: "+strings.Join(names, ", "))
	return c
}

func (a *app) diffCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "diff -f FILE|DIR", Short: "Show what apply would change; exit status 2 when there is a change", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl := a.client()
			defer cl.Close()
			_, _, changes, err := a.changes(c.Context(), cl, files)
			if err != nil {
				return err
			}
			if err := a.writeChanges(changes); err != nil {
				return err
			}
			if len(changes) > 0 {
				return &exitError{status: exitChanges, quiet: true}
			}
			return nil
		},
	}
	fileFlag(c, &files)
	return c
}

func fileFlag(c *cobra.Command, files *[]string) {
	filesFlag(c, files)
	_ = c.MarkFlagRequired("file")
}

// filesFlag is the same where files may be named otherwise too.
func filesFlag(c *cobra.Command, files *[]string) {
	c.Flags().StringSliceVarP(files, "file", "f", nil, "a file, a directory tree of *.yaml, or - for standard input (repeatable)")
}

// changes reads the applied documents and the files, and gives what is between them.
func (a *app) changes(ctx context.Context, cl *api.Client, files []string) (control.Documents, spec.Set, []spec.Change, error) {
	now, err := cl.Documents(ctx)
	if err != nil {
		return now, spec.Set{}, nil, err
	}
	old := spec.Set{}
	if now.Text != "" {
		if old, err = spec.Parse(all.Registry(), spec.Set{}, spec.Source{Name: applied, Text: []byte(now.Text)}); err != nil {
			return now, old, nil, a.problems(err)
		}
	}
	next, err := readSet(old, files)
	if err != nil {
		return now, next, nil, a.problems(err)
	}
	a.remark(next)
	return now, next, spec.Diff(old, next), nil
}

func (a *app) writeChanges(changes []spec.Change) error {
	return a.write(changes, func(w io.Writer) error {
		if len(changes) == 0 {
			_, err := fmt.Fprintln(w, "no changes")
			return err
		}
		p := &printer{w: w}
		for _, c := range changes {
			p.line("%s", c)
		}
		return p.err
	})
}

func (a *app) applyCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "apply -f FILE|DIR", Short: "Make the files' sites and plans the applied ones; refuses what changed since it was read", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl := a.client()
			defer cl.Close()
			now, next, changes, err := a.changes(c.Context(), cl, files)
			if err != nil {
				return err
			}
			if len(changes) > 0 {
				if _, err := cl.Apply(c.Context(), next.Canonical(), now.Version); err != nil {
					return a.placed(next, err)
				}
			}
			return a.writeChanges(changes)
		},
	}
	fileFlag(c, &files)
	return c
}
