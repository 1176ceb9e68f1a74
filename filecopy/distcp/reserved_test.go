package distcp

import (
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
)

// TestNoPropertySwitchesAProofOff wants a site's properties in the job, but none that changes what is copied, to where, or how it is compared.
func TestNoPropertySwitchesAProofOff(t *testing.T) {
	target, err := hdfs.New(hdfs.Config{Root: "/data/curated"})
	if err != nil {
		t.Fatal(err)
	}
	trip := &trip{Carrier: &Carrier{}, target: target, load: filecopy.Load{Lot: "set-1"}}
	trip.Classpath = defaultClasspath
	plain := trip.properties("/s/job", "/s/job/_distcp", "/s/job/_distcp/fileList.seq", 2)
	tuned := map[string]bool{"dfs.client.block.write.locateFollowingBlock.initial.delay.ms": true, "dfs.client.block.write.locateFollowingBlock.retries": true}
	trip.Properties = map[string]string{"dfs.nameservices": "east", "dfs.client.block.write.locateFollowingBlock.retries": "20"}
	for name := range plain {
		if Reserved(name) == tuned[name] {
			t.Errorf("%s is reserved: %v", name, Reserved(name))
		}
		if !tuned[name] {
			trip.Properties[name] = "theirs"
		}
	}
	got := trip.properties("/s/job", "/s/job/_distcp", "/s/job/_distcp/fileList.seq", 2)
	for name, value := range plain {
		if !tuned[name] && got[name] != value {
			t.Errorf("%s became %q", name, got[name])
		}
	}
	if got["dfs.nameservices"] != "east" || got["dfs.client.block.write.locateFollowingBlock.retries"] != "20" || got["dfs.checksum.combine.mode"] != "COMPOSITE_CRC" {
		t.Errorf("the job has %v", got)
	}
	for _, name := range []string{"distcp.skip.crc", "distcp.delete.missing.source", "distcp.copy.overwrite", "dfs.checksum.type", "mapred.output.dir", "fs.default.name"} {
		if !Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
}
