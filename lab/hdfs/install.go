package hdfs

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

//go:embed java
var javaSources embed.FS

// The main classes of our Java sources.
const (
	serverClass = "understudy.lab.hdfs.Server"
	clientClass = "understudy.lab.hdfs.Client"
)

// install is Hadoop on this machine: the JDK, the class path with our own jar and, once they were made,
// the class data archives.
type install struct {
	version   string
	jdk       *lab.JDK
	classpath string
	sum       string
	archives  string
	// lists is where JVMs of a rehearsal write down the classes that they load.
	lists string
}

// Fetch brings everything that clusters and clients need into the cache: jars, our compiled classes and the
// class data archives that halve the start of both. It is quick when all is there.
func Fetch(ctx context.Context) error {
	in, err := installed(ctx, Version)
	if err != nil {
		return err
	}
	_, err = in.archived(ctx)
	return err
}

// installed finds Java, fetches the jars and compiles what is ours.
func installed(ctx context.Context, version string) (install, error) {
	jdk, err := lab.Java()
	if err != nil {
		return install{}, err
	}
	classpath, err := profile(version).Classpath(ctx)
	if err != nil {
		return install{}, fmt.Errorf("jars of hadoop %s: %w", version, err)
	}
	return install{version: version, jdk: jdk, classpath: classpath}.with(ctx, javaSources, lab.Sources{
		Name: "hdfs-" + version,
		// The web servers refuse to start without these, and Maven's jars lack them: only pages for people are absent then.
		Folders: []string{"webapps/hdfs/WEB-INF", "webapps/datanode/WEB-INF", "webapps/journal/WEB-INF", "webapps/static"},
	})
}

// with compiles one of our trees of Java sources and adds it to the class path, behind Hadoop's defaults in a form that is
// quickly read.
func (in install) with(ctx context.Context, tree embed.FS, s lab.Sources) (install, error) {
	entries, err := tree.ReadDir(".")
	if err != nil {
		return install{}, err
	}
	if s.Files, err = fs.Sub(tree, entries[0].Name()); err != nil {
		return install{}, err
	}
	if in.sum, err = s.Sum(); err != nil {
		return install{}, err
	}
	jar, err := s.Jar(ctx, in.jdk, in.classpath)
	if err != nil {
		return install{}, err
	}
	defaults, err := terseDefaults(ctx, s.Name, in.classpath)
	if err != nil {
		return install{}, err
	}
	in.sum += defaultsForm
	in.classpath = strings.Join([]string{defaults, in.classpath, jar}, string(os.PathListSeparator))
	return in, nil
}

// archived adds the class data archive, and makes it the first time by a rehearsal.
func (in install) archived(ctx context.Context) (install, error) {
	entry := filepath.Join("archives", fmt.Sprintf("hdfs-%s-%s-java-%s", in.version, in.sum, in.jdk.Release))
	path, err := lab.Cached(ctx, entry, func(ctx context.Context, path string) error {
		return rehearse(ctx, in, path)
	})
	if err != nil {
		return install{}, err
	}
	in.archives = path
	return in, nil
}

// jvm is how a JVM of ours is started.
type jvm struct {
	heapMB   int
	optimise bool
	// archive is the class data archive's name; the rehearsal has none.
	archive string
	more    []string
}

// args are the launcher's arguments up to the class path, to which the directories are added.
func (in install) args(j jvm, directories ...string) []string {
	args := []string{
		fmt.Sprintf("-Xmx%dm", j.heapMB), "-Xss512k", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Djava.awt.headless=true", "-Djava.net.preferIPv4Stack=true", "-Dlab.log=INFO",
	}
	for _, opened := range []string{"lang", "util", "io", "net", "nio"} {
		args = append(args, "--add-opens=java.base/java."+opened+"=ALL-UNNAMED")
	}
	args = append(args, "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED")
	if !j.optimise {
		args = append(args, "-XX:TieredStopAtLevel=1")
	}
	args = append(args, in.shared(j.archive)...)
	classpath := in.classpath
	for _, d := range directories {
		classpath += string(os.PathListSeparator) + d
	}
	return append(append(args, j.more...), "-cp", classpath)
}

// shared are the arguments that give a JVM its class data archive; none where there is no archive.
func (in install) shared(archive string) []string {
	if in.archives == "" || archive == "" {
		return nil
	}
	return lab.SharedArchive(filepath.Join(in.archives, archive))
}

// listed is the argument that makes a JVM of a rehearsal write down the classes that it loads.
func (in install) listed() string {
	return "-XX:DumpLoadedClassList=" + filepath.Join(in.lists, "%p")
}
