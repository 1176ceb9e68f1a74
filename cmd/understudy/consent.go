package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/api"
)

// consentFlags are a person's acceptances, in their own name and for one operation, of what a guard refused.
type consentFlags struct {
	deletes, sources consentFlag
}

func (f *consentFlags) bind(c *cobra.Command) {
	fl := c.Flags()
	f.deletes.number = true
	fl.Var(&f.deletes, "accept-deletes", "accept this number of deletes, as the refused run told it; before it the tree, where the workload has several (repeatable)")
	fl.Var(&f.sources, "accept-source", "accept a source that was made anew, by the identity that the refused run told; before it the tree, where the workload has several (repeatable)")
}

func (f *consentFlags) given() []api.Accepted {
	return append(f.deletes.all[:len(f.deletes.all):len(f.deletes.all)], f.sources.all...)
}

// consentFlag collects values such as 12, or /data/curated=12.
type consentFlag struct {
	number bool
	all    []api.Accepted
}

// Type names the value in the help.
func (f *consentFlag) Type() string {
	if f.number {
		return "[TREE=]N"
	}
	return "[TREE=]IDENTITY"
}

// String gives nothing: there is no default.
func (f *consentFlag) String() string { return "" }

// Set reads one value.
func (f *consentFlag) Set(text string) error {
	var c api.Accepted
	value := text
	if i := strings.LastIndexByte(text, '='); i >= 0 && strings.HasPrefix(text, "/") {
		c.Shard, value = text[:i], text[i+1:]
	}
	c.Source = value
	if f.number {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a number of deletes", value)
		}
		c.Source, c.Deletes = "", n
	}
	if !f.number && value == "" {
		return fmt.Errorf("no identity is named")
	}
	f.all = append(f.all, c)
	return nil
}
