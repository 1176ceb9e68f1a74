package lab

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Sources are a recipe's own Java files. They are compiled on this machine against a server's jars, so that
// the repository holds no binaries.
type Sources struct {
	// Name is the cache entry's name, such as "kafka-3.9.1".
	Name string
	// Files is a tree of .java files and of others that go into the jar as they are.
	Files fs.FS
	// Folders are empty directories in the jar, for servers that look for such.
	Folders []string
}

// Sum names the state of the sources, for cache entries that depend on them.
func (s Sources) Sum() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, s.Folders)
	err := fs.WalkDir(s.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(s.Files, path)
		fmt.Fprintf(h, "%s %d\n", path, len(b))
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:4]), err
}

// Jar compiles the sources against a class path, once per state of the sources, and returns the jar in the
// cache. A jar and not a directory, because class data archives know jars only.
func (s Sources) Jar(ctx context.Context, jdk *JDK, classpath string) (string, error) {
	sum, err := s.Sum()
	if err != nil {
		return "", err
	}
	entry := filepath.Join("client", s.Name+"-"+sum+".jar")
	return Cached(ctx, entry, func(ctx context.Context, path string) error {
		work, err := os.MkdirTemp("", "understudy-lab-javac-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(work) }()
		classes := filepath.Join(work, "classes")
		sources, err := s.layOut(filepath.Join(work, "java"), classes)
		if err != nil {
			return err
		}
		args := []string{"--release", strconv.Itoa(minJava), "-proc:none", "-nowarn", "-cp", classpath, "-d", classes}
		if out, err := exec.CommandContext(ctx, jdk.Javac(), append(args, sources...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("javac: %w: %s", err, out)
		}
		return writeJar(path, os.DirFS(classes))
	})
}

// layOut writes the .java files into one directory, the rest where the classes will be, and returns the former.
func (s Sources) layOut(java, classes string) ([]string, error) {
	for _, folder := range s.Folders {
		if err := os.MkdirAll(filepath.Join(classes, folder), 0o755); err != nil {
			return nil, err
		}
	}
	var sources []string
	err := fs.WalkDir(s.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		to := filepath.Join(classes, path)
		if strings.HasSuffix(path, ".java") {
			to = filepath.Join(java, path)
			sources = append(sources, to)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		b, err := fs.ReadFile(s.Files, path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	return sources, err
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
