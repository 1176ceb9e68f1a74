package hdfs

import (
	"archive/zip"
	"context"
	"encoding/xml"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-dr/understudy/lab"
)

// defaults is what Hadoop reads of a file of defaults; a value that is absent is not an empty one.
type defaults struct {
	Properties []struct {
		Name        string   `xml:"name"`
		Value       *string  `xml:"value"`
		Final       *string  `xml:"final"`
		Tags        []string `xml:"tag"`
		Description string   `xml:"description"`
	} `xml:"property"`
}

// TestTerseDefaultsSayTheSame compares every name, value and tag of Hadoop's own defaults with those that the lab's JVMs read.
func TestTerseDefaultsSayTheSame(t *testing.T) {
	t.Parallel()
	classpath, err := yarnProfile().Classpath(context.Background())
	lab.Check(t, err)
	jar, err := terseDefaults(context.Background(), "yarn-"+Version, classpath)
	lab.Check(t, err)
	ours, theirs := defaultsIn(t, jar), map[string]defaults{}
	for _, j := range filepath.SplitList(classpath) {
		for name, d := range defaultsIn(t, j) {
			if _, first := theirs[name]; !first {
				theirs[name] = d
			}
		}
	}
	for name, d := range theirs {
		for i := range d.Properties {
			d.Properties[i].Description = ""
		}
		t.Logf("%s: %d properties", name, len(d.Properties))
	}
	if len(theirs) < 4 || len(theirs["hdfs-default.xml"].Properties) < 500 {
		t.Fatalf("only %d files of defaults were found", len(theirs))
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("the defaults (-Hadoop's +ours):\n%s", diff)
	}
	changed := terse([]byte("<property><name>a</name><value>\n b </value><description>c</description>\n</property><!-- d -->"))
	if want := "<property><name>a</name><value>\n b </value></property>"; string(changed) != want {
		t.Errorf("%q became %q", want, changed)
	}
}

func defaultsIn(t *testing.T, jar string) map[string]defaults {
	t.Helper()
	in, err := zip.OpenReader(jar)
	lab.Check(t, err)
	defer func() { _ = in.Close() }()
	all := map[string]defaults{}
	for _, f := range in.File {
		if strings.Contains(f.Name, "/") || !strings.HasSuffix(f.Name, "-default.xml") {
			continue
		}
		site, err := read(f)
		lab.Check(t, err)
		var d defaults
		lab.Check(t, xml.Unmarshal(site, &d))
		all[f.Name] = d
	}
	return all
}
