// Package all is the list of the kinds that this product can protect. It must not know anything about them
// but their names: adding a kind is one folder and one line here.
package all

import (
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/storage"
)

// Registry lists every kind, in the order in which people are shown them.
func Registry() workload.Registry {
	return workload.NewRegistry(
		kafka.Kind(),
		storage.Kind(),
	)
}
