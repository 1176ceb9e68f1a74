package all_test

import (
	"testing"

	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/provision/all"
	"github.com/understudy-dr/understudy/provision/script"
)

func TestRegistryHasStaticAndEveryCommand(t *testing.T) {
	r := all.Registry(script.Commands{"start-lake": {Exec: []string{"/bin/true"}}})
	if len(r) != 2 || r[provision.Static] == nil || r["start-lake"] == nil {
		t.Fatalf("%v", r)
	}
}
