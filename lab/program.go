package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// Own is the lab's own command, which runs servers of ours in processes of their own.
const Own = "github.com/understudy-dr/understudy/cmd/understudy-lab"

// Program builds a Go command of the module that the working directory belongs to and returns its path. The
// Go tool builds and links only what changed since the last call.
func Program(ctx context.Context, importPath string) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", &Missing{What: "the Go tool", Why: "there is no go on the PATH", Fix: "install it, or add it to the PATH"}
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, path.Base(importPath))
	unlock, err := lockFile(ctx, file+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if out, err := exec.CommandContext(ctx, tool, "build", "-o", file, importPath).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", importPath, err, out)
	}
	return file, nil
}
