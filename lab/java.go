package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// minJava is the oldest Java that all recipes run on.
const minJava = 17

// JDK is a Java development kit on this machine.
type JDK struct {
	// Home is its directory.
	Home string
	// Release is its full version, such as "17.0.15".
	Release string
}

// Java returns the path of the launcher.
func (j *JDK) Java() string { return filepath.Join(j.Home, "bin", "java") }

// Javac returns the path of the compiler.
func (j *JDK) Javac() string { return filepath.Join(j.Home, "bin", "javac") }

// Java finds a JDK of version 17 or newer by JAVA_HOME or the PATH. A *Missing says precisely what is
// absent: Java itself, its compiler, or a version that is new enough.
func Java() (*JDK, error) {
	home, from := os.Getenv("JAVA_HOME"), "JAVA_HOME"
	if home == "" {
		path, err := exec.LookPath("java")
		if err != nil {
			return nil, missingJava("JAVA_HOME is not set and there is no java on the PATH")
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, missingJava(err.Error())
		}
		home, from = filepath.Dir(filepath.Dir(path)), "the PATH"
	}
	j := &JDK{Home: home}
	if _, err := os.Stat(j.Java()); err != nil {
		return nil, missingJava(fmt.Sprintf("%s leads to %s, which has no bin/java", from, home))
	}
	if _, err := os.Stat(j.Javac()); err != nil {
		return nil, missingJava(fmt.Sprintf("%s leads to %s, which has no bin/javac: it is a runtime, not a JDK", from, home))
	}
	release, err := javaRelease(j)
	if err != nil {
		return nil, err
	}
	j.Release = release
	major, err := strconv.Atoi(strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })[0])
	if err != nil || major < minJava {
		return nil, missingJava(fmt.Sprintf("%s leads to %s, which is version %s", from, home, release))
	}
	return j, nil
}

func missingJava(why string) *Missing {
	return &Missing{
		What: fmt.Sprintf("a JDK, version %d or newer", minJava),
		Why:  why,
		Fix:  "install one (Debian: openjdk-17-jdk-headless) or set JAVA_HOME",
	}
}

// javaRelease reads the version from the kit's release file, and asks the launcher where there is none.
func javaRelease(j *JDK) (string, error) {
	if f, err := os.Open(filepath.Join(j.Home, "release")); err == nil {
		defer func() { _ = f.Close() }()
		for s := bufio.NewScanner(f); s.Scan(); {
			if v, ok := strings.CutPrefix(s.Text(), "JAVA_VERSION="); ok {
				return strings.Trim(v, `"`), nil
			}
		}
	}
	out, err := exec.Command(j.Java(), "-version").CombinedOutput()
	if err != nil {
		return "", missingJava(fmt.Sprintf("%s -version failed: %v: %s", j.Java(), err, firstLine(string(out))))
	}
	if _, rest, ok := strings.Cut(string(out), `"`); ok {
		v, _, _ := strings.Cut(rest, `"`)
		if v != "" && v[0] >= '0' && v[0] <= '9' {
			return v, nil
		}
	}
	return "", missingJava(fmt.Sprintf("%s -version says %q", j.Java(), firstLine(string(out))))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// SharedArchive gives the launcher's arguments that start a JVM with a class data archive. The archive lies where it was made
// for: moved elsewhere, as newer JDKs do to hide addresses from attackers, all of it is written once more at each start.
func SharedArchive(path string) []string {
	return []string{"-XX:SharedArchiveFile=" + path, "-XX:+UnlockDiagnosticVMOptions", "-XX:ArchiveRelocationMode=0"}
}

// mavenPath finds Maven on the PATH.
func mavenPath() (string, error) {
	path, err := exec.LookPath("mvn")
	if err != nil {
		return "", &Missing{What: "Maven", Why: "there is no mvn on the PATH and the jars are not cached", Fix: "install it (Debian: maven)"}
	}
	return path, nil
}
