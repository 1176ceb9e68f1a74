package adls

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

//go:embed java
var javaSources embed.FS

// HadoopVersion is that of the driver.
const HadoopVersion = "3.4.1"

// driverStop bounds the orderly end of the driver's JVM.
const driverStop = 30 * time.Second

// domain makes the driver put the name of the account into its URLs: it does so for live accounts only, and none is ever asked.
const domain = ".dfs.core.windows.net"

// Driver is a JVM with Hadoop's own ABFS driver behind Hadoop's FsShell. Commands run one after the other.
type Driver struct {
	dialogue *lab.Dialogue
}

// driverJars is what the driver is made of.
func driverJars() lab.Jars {
	hadoop := func(name string) lab.Artifact {
		return lab.Artifact{Group: "org.apache.hadoop", Name: name, Version: HadoopVersion}
	}
	return lab.Jars{Name: "abfs-" + HadoopVersion, Artifacts: []lab.Artifact{
		hadoop("hadoop-common"), hadoop("hadoop-azure"),
		// Maven would choose 2.10.2, which the databind of the same tree does not work with.
		{Group: "com.fasterxml.jackson.core", Name: "jackson-core", Version: "2.12.7"},
	}}
}

// FetchDriver brings the driver's jars and our compiled class into the cache, and gives the class path.
func FetchDriver(ctx context.Context) (*lab.JDK, string, error) {
	jdk, err := lab.Java()
	if err != nil {
		return nil, "", err
	}
	classpath, err := driverJars().Classpath(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("jars of the ABFS driver %s: %w", HadoopVersion, err)
	}
	files, err := fs.Sub(javaSources, "java")
	if err != nil {
		return nil, "", err
	}
	jar, err := lab.Sources{Name: "abfs-" + HadoopVersion, Files: files}.Jar(ctx, jdk, classpath)
	return jdk, classpath + string(os.PathListSeparator) + jar, err
}

// OpenDriver starts the JVM for a test, and ends it with the test.
func OpenDriver(t lab.Test) *Driver {
	jdk, classpath, err := FetchDriver(context.Background())
	lab.Check(t, err)
	d, err := lab.Converse(lab.Command{
		Name: "ABFS driver", Path: jdk.Java(),
		Args: []string{
			"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true", "-Djava.net.preferIPv4Stack=true",
			"-cp", classpath, "understudy.lab.adls.Shell",
		},
		Log: filepath.Join(t.TempDir(), "driver.log"),
	})
	lab.Check(t, err)
	driver := &Driver{dialogue: d}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), driverStop)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Logf("close the ABFS driver: %v", err)
		}
	})
	return driver
}

// URI names a path of a file system for the driver.
func URI(fs, path string) string {
	return "abfs://" + fs + "@" + AccountName + domain + "/" + path
}

// Run runs one command of FsShell, such as "-ls", "-R", URI("lake", ""), against the server at an address, and gives what it printed.
// A status other than 0 is an error with the text. The driver checks sums of what it sends and gets.
func (d *Driver) Run(ctx context.Context, addr string, args ...string) (string, error) {
	config := map[string]string{
		"fs.azure.abfs.endpoint":                              addr,
		"fs.azure.account.key." + AccountName + domain:        Key(),
		"fs.azure.account.auth.type":                          "SharedKey",
		"fs.azure.account.hns.enabled":                        "true",
		"fs.azure.always.use.https":                           "false",
		"fs.azure.createRemoteFileSystemDuringInitialization": "true",
		"fs.azure.enable.checksum.validation":                 "true",
		"fs.azure.io.retry.max.retries":                       "2",
		"fs.abfs.impl.disable.cache":                          "true",
		"fs.azure.skipUserGroupMetadataDuringInitialization":  "true",
	}
	var text string
	err := d.dialogue.Call(ctx, "shell", lab.Request{"config": config, "args": args}, func(line []byte) error {
		var said struct {
			Text string `json:"text"`
		}
		err := json.Unmarshal(line, &said)
		text += said.Text
		return err
	})
	return text, err
}
