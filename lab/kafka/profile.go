package kafka

import (
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// The pinned versions of brokers.
const (
	V39 = "3.9.1"
	V44 = "4.4.0"
)

// MirrorVersion is the pinned version of MirrorMaker 2: no connect-mirror of 4.4 was published, and it does
// not start with clients of another version beside it.
const MirrorVersion = "4.3.1"

// Versions lists the pinned brokers, oldest first.
func Versions() []string { return []string{V39, V44} }

// profile returns what a broker of the version is made of, with the client that every broker jar brings.
func profile(version string) (lab.Jars, error) {
	if !slices.Contains(Versions(), version) {
		return lab.Jars{}, fmt.Errorf("kafka %q: the lab has %s", version, strings.Join(Versions(), " and "))
	}
	logger := lab.Artifact{Group: "org.slf4j", Name: "slf4j-simple", Version: "1.7.36"}
	return lab.Jars{Name: "kafka-" + version, Artifacts: []lab.Artifact{
		{Group: "org.apache.kafka", Name: "kafka_2.13", Version: version},
		logger,
	}}, nil
}
