package hdfs

import (
	"encoding/xml"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// property is one entry of a Hadoop configuration file.
type property struct {
	Name  string `xml:"name"`
	Value string `xml:"value"`
}

// configuration is such a file.
type configuration struct {
	XMLName    xml.Name   `xml:"configuration"`
	Properties []property `xml:"property"`
}

// writeSite writes core-site.xml and hdfs-site.xml: what begins with "dfs." goes to the latter, because in the
// former Hadoop's own defaults would hide it.
func writeSite(dir string, p map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	core, own := make(map[string]string), make(map[string]string)
	for name, value := range p {
		if strings.HasPrefix(name, "dfs.") {
			own[name] = value
			continue
		}
		core[name] = value
	}
	if err := writeProperties(filepath.Join(dir, "core-site.xml"), core); err != nil {
		return err
	}
	return writeProperties(filepath.Join(dir, "hdfs-site.xml"), own)
}

// writeProperties writes one configuration file, sorted by name.
func writeProperties(path string, p map[string]string) error {
	var c configuration
	for _, name := range slices.Sorted(maps.Keys(p)) {
		c.Properties = append(c.Properties, property{name, p[name]})
	}
	b, err := xml.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(xml.Header), append(b, '\n')...), 0o644)
}
