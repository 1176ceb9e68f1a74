package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Say what an error code means and what to do; without a code, list all",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE:  func(_ *cobra.Command, given []string) error { return a.explain(given) },
	}
}

func (a *app) explain(given []string) error {
	if len(given) == 0 {
		codes := understudy.Codes()
		return a.write(codes, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
			for _, c := range codes {
				_, _ = fmt.Fprintf(t, "%s\t%s\n", c.Code, c.Title)
			}
			return t.Flush()
		})
	}
	code := understudy.Code(strings.ToUpper(given[0]))
	e, ok := understudy.Explain(code)
	if !ok {
		return &understudy.Error{Code: "US501", Kind: understudy.KindNotFound,
			Summary: fmt.Sprintf("there is no error code %q", given[0]), Fix: "understudy explain"}
	}
	return a.write(e, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s  %s\n\n%s\n", e.Code, e.Title, e.Text)
		return err
	})
}
