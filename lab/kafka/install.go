package kafka

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/understudy-dr/understudy/lab"
)

// install is one version on this machine: the JDK, the jars and, once it was made, the class data archive.
type install struct {
	version   string
	jdk       *lab.JDK
	classpath string
	archive   string
}

// Fetch brings everything that brokers of a version need into the cache: jars, a formatted storage and the
// class data archive that halves their start. It is quick when all is there.
func Fetch(ctx context.Context, version string) error {
	in, err := installed(ctx, version)
	if err != nil {
		return err
	}
	_, err = in.archived(ctx)
	return err
}

// installed finds Java and fetches the jars.
func installed(ctx context.Context, version string) (install, error) {
	jars, err := profile(version)
	if err != nil {
		return install{}, err
	}
	jdk, err := lab.Java()
	if err != nil {
		return install{}, err
	}
	classpath, err := jars.Classpath(ctx)
	if err != nil {
		return install{}, fmt.Errorf("jars of kafka %s: %w", version, err)
	}
	return install{version: version, jdk: jdk, classpath: classpath}, nil
}

// archived adds the class data archive, and makes it the first time by running a broker and stopping it.
func (in install) archived(ctx context.Context) (install, error) {
	entry := filepath.Join("archives", fmt.Sprintf("kafka-%s-java-%s", in.version, in.jdk.Release), "broker.jsa")
	path, err := lab.Cached(ctx, entry, func(ctx context.Context, path string) error {
		return rehearse(ctx, in, path)
	})
	if err != nil {
		return install{}, err
	}
	in.archive = path
	return in, nil
}
