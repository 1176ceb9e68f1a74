package kafka

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/understudy-dr/understudy/lab"
)

// javaRelease is the class file version: that of the oldest JDK the lab accepts.
const javaRelease = 17

//go:embed java/*.java
var javaSources embed.FS

// sourceSum names the state of our Java sources, for cache entries that depend on them.
func sourceSum() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(javaSources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := javaSources.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n", path, len(b))
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:4]), err
}

// clientJar compiles our Java sources against the version's jars, once per state of the sources. A jar and
// not a directory, because class data archives know jars only.
func clientJar(ctx context.Context, in install) (string, error) {
	sum, err := sourceSum()
	if err != nil {
		return "", err
	}
	entry := filepath.Join("client", "kafka-"+in.version+"-"+sum+".jar")
	return lab.Cached(ctx, entry, func(ctx context.Context, path string) error {
		work, err := os.MkdirTemp("", "understudy-lab-javac-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(work) }()
		if err := os.CopyFS(work, javaSources); err != nil {
			return err
		}
		sources, err := filepath.Glob(filepath.Join(work, "java", "*.java"))
		if err != nil {
			return err
		}
		classes := filepath.Join(work, "classes")
		args := []string{"--release", strconv.Itoa(javaRelease), "-proc:none", "-nowarn", "-cp", in.classpath, "-d", classes}
		if out, err := exec.CommandContext(ctx, in.jdk.Javac(), append(args, sources...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("javac: %w: %s", err, out)
		}
		return writeJar(path, os.DirFS(classes))
	})
}

func writeJar(path string, classes fs.FS) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w := zip.NewWriter(f)
	if err := w.AddFS(classes); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}
