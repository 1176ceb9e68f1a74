package hdfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// TestAFullBoundIsNamed gives what a NameNode says of its bounds, as Hadoop 3.4.1 does, the name of what raises them.
func TestAFullBoundIsNamed(t *testing.T) {
	const protocol = "org.apache.hadoop.hdfs.protocol."
	for _, c := range []struct {
		class, message, bound, fix string
	}{
		{"FSLimitException$MaxDirectoryItemsExceededException", "The directory item limit of /t is exceeded: limit=200 items=201", "entries", "`dfs.namenode.fs-limits.max-directory-items`"},
		{"NSQuotaExceededException", "The NameSpace quota (directories and files) of directory /t is exceeded: quota=10 file count=11", "quota of names", " -setQuota "},
		{"DSQuotaExceededException", "The DiskSpace quota of /t is exceeded: quota = 1048576 B = 1 MB but diskspace consumed = 2097152 B = 2 MB", "quota of space", "-setSpaceQuota BYTES DIRECTORY"},
		{"QuotaByStorageTypeExceededException", "Quota by storage type : SSD on path : /t is exceeded. quota = 1 MB but space consumed = 2 MB", "one type of storage", "-storageType TYPE"},
		{"QuotaExceededException", "what a later version may say", "", ""},
	} {
		cause := &wire.RemoteError{Op: "rename2", Path: "/t/f", Server: "nn:8020", Class: protocol + c.class, Message: c.message}
		err := tell(fmt.Errorf("publish: %w", cause))
		if !errors.Is(err, filecopy.ErrFull) || !errors.Is(err, error(cause)) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v", c.class, err)
		}
		var full *filecopy.Full
		if named := errors.As(err, &full); named != (c.fix != "") {
			t.Errorf("%s: bound %+v", c.class, full)
		} else if named && (!strings.Contains(full.Bound, c.bound) || !strings.Contains(full.Fix, c.fix)) {
			t.Errorf("%s: bound %+v", c.class, full)
		}
	}
	var full *filecopy.Full
	if err := tell(fmt.Errorf("write: %w", wire.ErrNoSpace)); !errors.Is(err, filecopy.ErrFull) || errors.As(err, &full) {
		t.Errorf("of full disks it says %v", err)
	}
}
