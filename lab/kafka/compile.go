package kafka

import (
	"embed"
	"io/fs"

	"github.com/understudy-dr/understudy/lab"
)

//go:embed java/*.java
var javaSources embed.FS

// sources is our client, to be compiled against the version's jars.
func (in install) sources() (lab.Sources, error) {
	files, err := fs.Sub(javaSources, "java")
	return lab.Sources{Name: "kafka-" + in.version, Files: files}, err
}
