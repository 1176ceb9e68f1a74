package hdfs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// TestWhatHoldsADirectoryIsNamed reads what a NameNode says when it lets a directory be taken nowhere, as Hadoop 3.4.1 does, and says how to free it. Other
// refusals because of snapshots are none of these.
func TestWhatHoldsADirectoryIsNamed(t *testing.T) {
	const protocol = "org.apache.hadoop.hdfs.protocol."
	for _, c := range []struct{ class, message, dir string }{
		{"SnapshotException", "The directory /t/d cannot be deleted since /t/d is snapshottable and already has snapshots", "/t/d"},
		{"SnapshotException", "The directory /t cannot be deleted since /t/a b is snapshottable and already has snapshots", "/t/a b"},
		{"SnapshotException", "Directory is not a snapshottable directory: /t/d", ""},
		{"NestedSnapshottableException", "Nested snapshottable directories not allowed: path=/t/d/in, the ancestor /t/d is already a snapshottable directory.", ""},
		{"QuotaExceededException", "The directory /t cannot be deleted since /t is snapshottable and already has snapshots", ""},
	} {
		cause := &wire.RemoteError{Op: "rename2", Path: "/t/d", Server: "nn:8020", Class: protocol + c.class, Message: c.message}
		e := peculiar(fmt.Errorf("publish: %w", cause))
		if c.dir == "" {
			if e != nil {
				t.Errorf("%s: %v", c.message, e)
			}
			continue
		}
		coded := understudy.AsError(e)
		if coded == nil || coded.Code != "US748" || !strings.Contains(coded.Summary, `"`+c.dir+`"`) || !strings.Contains(coded.Fix, "-deleteSnapshot '"+c.dir+"' NAME") || !strings.Contains(e.Error(), c.message) {
			t.Errorf("%s: %v", c.message, coded)
		}
	}
}
