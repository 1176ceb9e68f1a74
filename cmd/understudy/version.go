package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/understudy-dr/understudy"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{a.version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.write(v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "understudy %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
				return err
			})
		},
	}
}

func (a *app) manCommand(root func() *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			err := os.MkdirAll(given[0], 0o755)
			if err == nil {
				err = doc.GenManTree(root(), &doc.GenManHeader{Title: "UNDERSTUDY", Section: "1", Source: "understudy"}, given[0])
			}
			if err != nil {
				return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid, Summary: "the manual pages cannot be written", Err: err,
					Fix: "name a directory that this user may write"}
			}
			return nil
		},
	}
}

func (a *app) completionCommand(root func() *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Print a shell completion script", Args: args(cobra.ExactArgs(1)),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(_ *cobra.Command, given []string) error {
			switch given[0] {
			case "bash":
				return root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return root().GenZshCompletion(a.out)
			case "fish":
				return root().GenFishCompletion(a.out, true)
			case "powershell":
				return root().GenPowerShellCompletionWithDesc(a.out)
			}
			return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid,
				Summary: fmt.Sprintf("unknown shell %q", given[0]), Fix: "understudy completion bash|zsh|fish|powershell"}
		},
	}
}
