package kafka

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/understudy-dr/understudy/lab"
)

// install is one version on this machine: the JDK, the jars and, once they were made, the class data
// archives.
type install struct {
	version   string
	jdk       *lab.JDK
	classpath string
	archives  string
}

// Fetch brings everything that brokers of a version need into the cache: jars, a formatted storage,
// our compiled client and the class data archives that halve the start of both. It is quick when all is there.
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

// The class data archives of a version, in one cache entry.
const (
	brokerArchive = "broker.jsa"
	clientArchive = "client.jsa"
)

// archived adds the class data archives, and makes them the first time by a rehearsal.
func (in install) archived(ctx context.Context) (install, error) {
	sources, err := in.sources()
	if err != nil {
		return install{}, err
	}
	sum, err := sources.Sum()
	if err != nil {
		return install{}, err
	}
	entry := filepath.Join("archives", fmt.Sprintf("kafka-%s-%s-java-%s", in.version, sum, in.jdk.Release))
	path, err := lab.Cached(ctx, entry, func(ctx context.Context, path string) error {
		return rehearse(ctx, in, path)
	})
	if err != nil {
		return install{}, err
	}
	in.archives = path
	return in, nil
}
