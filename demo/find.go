package demo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	labName = "understudy-lab"
	// labSource is where the lab's source is in a checkout of this module.
	labSource = "cmd/understudy-lab"
	module    = "module github.com/understudy-dr/understudy"
)

// findLab gives the program that runs real servers: the one that is named, the one beside this program, the one on
// the PATH, or one built from the checkout around the working directory, into dir. The error is US516 and names what
// is missing.
func findLab(ctx context.Context, named, dir string) (string, error) {
	if named != "" {
		return named, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), labName)
		if info, err := os.Stat(beside); err == nil && info.Mode()&0o111 != 0 {
			return beside, nil
		}
	}
	if path, err := exec.LookPath(labName); err == nil {
		return path, nil
	}
	checkout, ok := findCheckout()
	if !ok {
		return "", missing("there is no "+labName+" to run Apache Kafka servers with",
			"it is neither beside this program nor on the PATH, and the working directory is not in a checkout of understudy")
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", missing("there is no Go toolchain to build "+labName+" with", "go is not on the PATH")
	}
	binary := filepath.Join(dir, labName)
	// Without debugging information it is linked sooner.
	build := exec.CommandContext(ctx, compiler, "build", "-ldflags=-w", "-o", binary, "./"+labSource)
	build.Dir = checkout
	if said, err := build.CombinedOutput(); err != nil {
		return "", missing(labName+" does not build from "+checkout, strings.TrimSpace(string(said)+" "+err.Error()))
	}
	return binary, nil
}

// findCheckout looks upwards from the working directory for this module's source.
func findCheckout() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, strings.HasPrefix(string(text), module+"\n")
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}
