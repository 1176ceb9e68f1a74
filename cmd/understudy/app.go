package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/spec"
)

// app is what every command shares: the streams, the environment and the global flags.
type app struct {
	in        io.Reader
	out, errs io.Writer
	env       func(string) (string, bool)
	version   string
	// release gives the signals back to their default, so that a second Ctrl-C ends the process.
	release func()

	output  string
	socket  string
	noColor bool
	noInput bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "understudy",
		Short: "Keep Hadoop-family clusters ready in a second region, take over, prove it, come home",
		Long: `understudy keeps Hadoop-family clusters ready in a second region, takes over when the first is lost,
proves what was and was not lost, and comes home again.

It answers four questions: what would I lose right now (status), how long would it take (report), has it
been proved lately (verify), how do I get home (reprotect, failback).`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkOutput() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "table", "how data is written: table, json, yaml or jsonl")
	f.StringVar(&a.socket, "socket", "", "unix socket of understudy serve (default: $UNDERSTUDY_SOCKET, or understudy.sock in the data directory)")
	f.BoolVar(&a.noColor, "no-color", false, "write no colours (also NO_COLOR, TERM=dumb, or not a terminal)")
	f.BoolVar(&a.noInput, "no-input", false, "never ask; fail where a question would be needed")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError(c, err) })
	root.AddCommand(a.commands()...)
	root.SetHelpCommand(helpCommand())
	return root
}

func usageError(c *cobra.Command, err error) error {
	return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid, Summary: err.Error(), Fix: c.CommandPath() + " --help"}
}

// helpCommand is cobra's own, but that asking for what is not there is a usage error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command",
		RunE: func(c *cobra.Command, given []string) error {
			about, _, err := c.Root().Find(given)
			if err != nil {
				return usageError(c, err)
			}
			return about.Help()
		},
	}
}

// args wraps a cobra argument check, so that a wrong number of arguments, and an empty one, is a usage error with a code.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if err := check(c, given); err != nil {
			return usageError(c, err)
		}
		if slices.Contains(given, "") {
			return usageError(c, errors.New("an argument is empty"))
		}
		return nil
	}
}

func (a *app) checkOutput() error {
	switch a.output {
	case "table", "json", "yaml", "jsonl":
		return nil
	}
	return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid,
		Summary: fmt.Sprintf("unknown output %q", a.output), Fix: "-o table|json|yaml|jsonl"}
}

// write puts data on stdout in the chosen form; table writes the form for people.
func (a *app) write(data any, table func(io.Writer) error) error {
	switch a.output {
	case "json":
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(data)
	case "jsonl":
		return json.NewEncoder(a.out).Encode(data)
	case "yaml":
		// Through JSON, so that both forms have the same keys.
		b, err := json.Marshal(data)
		if err != nil {
			return err
		}
		return writeYAML(a.out, b)
	default:
		return table(a.out)
	}
}

// writeYAML writes a JSON document as YAML in block style: JSON is YAML, so only the style changes.
func writeYAML(w io.Writer, document []byte) error {
	var n yaml.Node
	if err := yaml.Unmarshal(document, &n); err != nil {
		return err
	}
	plain(&n)
	b, err := yaml.Marshal(&n)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}

// say puts a message for people on stderr.
func (a *app) say(format string, v ...any) { _, _ = fmt.Fprintf(a.errs, format+"\n", v...) }

// terminal says whether stderr is a terminal on which progress may be drawn.
func (a *app) terminal() bool {
	f, ok := a.errs.(*os.File)
	if !ok || a.noColor {
		return false
	}
	if v, set := a.env("NO_COLOR"); set && v != "" {
		return false
	}
	if v, _ := a.env("TERM"); v == "dumb" {
		return false
	}
	return term.IsTerminal(int(f.Fd()))
}

// fail tells an error and gives the exit status.
func (a *app) fail(ctx context.Context, err error) int {
	status := exitStatus(ctx, err)
	var x *exitError
	if errors.As(err, &x) && x.quiet {
		return status
	}
	if status == exitInterrupted {
		err = ended(err)
	}
	if misused(err) {
		err = &understudy.Error{Code: "US500", Kind: understudy.KindInvalid, Summary: err.Error(), Fix: "understudy --help"}
		status = exitUsage
	}
	if a.output == "json" || a.output == "jsonl" {
		a.failJSON(err)
		return status
	}
	a.say("%s", strings.TrimRight(renderError(err), "\n"))
	return status
}

// ended is the error of a command that a person ended, with what is known of what it had begun.
func ended(err error) error {
	if e := understudy.AsError(err); e.Code == "US002" && e.Fix != "" {
		told := *e
		told.Err = nil // the signal, which the person knows of
		return &told
	}
	return &understudy.Error{Code: "US002", Kind: understudy.KindRetry, Summary: "interrupted"}
}

// misused says whether cobra itself refused the command line: its own errors are told apart by their words only.
func misused(err error) bool {
	return slices.ContainsFunc([]string{"unknown command", "unknown flag", "required flag(s)"}, func(words string) bool {
		return strings.HasPrefix(err.Error(), words)
	})
}

// failJSON tells an error as one JSON document; all that is wrong with a file is in it.
func (a *app) failJSON(err error) {
	doc := struct {
		Error    *understudy.Error `json:"error"`
		Problems spec.Problems     `json:"problems,omitempty"`
	}{Error: understudy.AsError(err)}
	if e := *doc.Error; e.Err != nil && e.Why == "" {
		e.Why = e.Err.Error() // the cause itself is not part of the document
		doc.Error = &e
	}
	_ = errors.As(err, &doc.Problems)
	_ = json.NewEncoder(a.errs).Encode(doc)
}

// oneLine gives an error in a list of others: what, and why. What came over the API has its cause there.
func oneLine(e *understudy.Error) string {
	if e.Why == "" || e.Err != nil {
		return e.Error()
	}
	return e.Error() + ": " + e.Why
}

// renderError gives an error as people read it: what, why, the fix, and where to read more.
func renderError(err error) string {
	e := understudy.AsError(err)
	var b strings.Builder
	fmt.Fprintf(&b, "error[%s]: ", e.Code)
	if o := e.Object.String(); o != "" {
		b.WriteString(o + ": ")
	}
	b.WriteString(e.Summary + "\n")
	if e.Why != "" {
		b.WriteString(" why: " + e.Why + "\n")
	}
	if e.Err != nil && e.Why == "" {
		b.WriteString(" why: " + e.Err.Error() + "\n")
	}
	if e.Fix != "" {
		b.WriteString(" fix: " + e.Fix + "\n")
	}
	if _, ok := understudy.Explain(e.Code); ok {
		fmt.Fprintf(&b, " more: understudy explain %s\n", e.Code)
	}
	return b.String()
}
