package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// dependencyPlugin is the Maven plugin that copies jars, pinned like everything else.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// Artifact is a jar on Maven Central by its coordinates.
type Artifact struct {
	Group, Name, Version string
}

// Jars is a pinned set of artifacts that make a server or a client; what they depend on comes with them.
type Jars struct {
	// Name is the cache entry's name, such as "kafka-3.9.1".
	Name      string
	Artifacts []Artifact
}

// Fetch returns the directory of the jars in the cache, and lets Maven fill it the first time. A *Missing
// says that Maven is needed and absent.
func (j Jars) Fetch(ctx context.Context) (string, error) {
	pom, err := j.pom()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(pom)
	entry := filepath.Join("jars", j.Name+"-"+hex.EncodeToString(sum[:4]))
	return Cached(ctx, entry, func(ctx context.Context, path string) error {
		return copyJars(ctx, pom, path)
	})
}

// Classpath fetches the jars and joins their paths, sorted: a class data archive is valid only for the
// very classpath it was made with.
func (j Jars) Classpath(ctx context.Context) (string, error) {
	dir, err := j.Fetch(ctx)
	if err != nil {
		return "", err
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return "", err
	}
	slices.Sort(jars)
	return strings.Join(jars, string(os.PathListSeparator)), nil
}

// pom writes the project file whose dependencies are the artifacts.
func (j Jars) pom() ([]byte, error) {
	t, err := template.New("pom").Parse(`<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>understudy.lab</groupId><artifactId>{{.Name}}</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{{- range .Artifacts}}
    <dependency><groupId>{{.Group}}</groupId><artifactId>{{.Name}}</artifactId><version>{{.Version}}</version></dependency>
{{- end}}
  </dependencies>
</project>
`)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, j)
	return b.Bytes(), err
}

func copyJars(ctx context.Context, pom []byte, dir string) error {
	mvn, err := mavenPath()
	if err != nil {
		return err
	}
	if _, err := Java(); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "understudy-lab-pom-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "-f", file, dependencyPlugin, "-DoutputDirectory="+dir, "-DincludeScope=runtime")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, lastLines(string(out), 8))
	}
	return nil
}

// lastLines returns the end of a log for an error message.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
