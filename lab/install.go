package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// Install builds a Go command of a pinned module version, such as example.org/tool/cmd/tool@v1.2.3, in the cache directory and returns
// its path. The module is not one of ours: nothing of it gets into go.mod. It is built once per machine.
func Install(ctx context.Context, importPath, version string) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", &Missing{What: "the Go tool", Why: "there is no go on the PATH", Fix: "install it, or add it to the PATH"}
	}
	name := path.Base(importPath)
	dir, err := Cached(ctx, filepath.Join("go", name+"-"+version), func(ctx context.Context, dir string) error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, tool, "install", "-trimpath", "-ldflags=-s -w", importPath+"@"+version)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
		// Outside of any module, so that none of ours has a say.
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s@%s: %w: %s", importPath, version, err, lastLines(string(out), 20))
		}
		return nil
	})
	return filepath.Join(dir, name), err
}
