package understudy_test

import (
	"os"
	"testing"
)

// module is the path of this module; what begins with it is ours.
const module = "github.com/understudy-dr/understudy"

// Names of rows that more than one row refers to.
const (
	rootRow     = "."
	kafkasimRow = "workload/kafka/kafkasim"
	azureRow    = "filecopy/internal/azure"
	lineRow     = "filecopy/internal/line"
	sceneryRow  = "filecopy/filecopytest/scenery"
	franz       = "github.com/twmb/franz-go"
	kfake       = "github.com/twmb/franz-go/pkg/kfake"
)

// layer is one row of the import law: the packages it is about, and what they may import.
// A package belongs to the first row that matches its folder, and a row is named in ours by its own pattern:
// so "workload/*" does not open "workload/kafka/kafkasim", which has a row of its own. An internal package that more than its owner
// shares has one, too.
type layer struct {
	// folder is the pattern of the folders; "*" stands for one element.
	folder string
	// ours lists the rows that may be imported; an own internal/ is opened by internal.
	ours []string
	// third lists the modules of others, or packages in them, by prefix.
	third []string
	// internal says that the package may keep internal/ packages; they obey the same row.
	internal bool
	// inTests says that every _test.go file outside the lab may import it.
	inTests bool
	// lab says that the row stands on the lab's side of the wall: its tests get nothing but the lab.
	lab bool
	// bare says that not even golang.org/x/sync and I/O of the standard library are open.
	bare bool
}

// law is the import law of the product, most special rows first. Whatever is not listed is refused.
func law() []layer {
	rows := testRows()
	rows = append(rows, workloadRows()...)
	rows = append(rows, controlRows()...)
	return append(rows, edgeRows()...)
}

// testRows are the conformance suites and simulators, which only tests (and the demo) may import.
func testRows() []layer {
	return []layer{
		{folder: "workload/workloadtest", inTests: true, ours: []string{rootRow, "workload", "filecopy"}, third: testLibraries()},
		// Who looks at a tree from outside knows nothing of the product, and judges the suites and the built binary alike.
		{folder: sceneryRow, inTests: true},
		{folder: "filecopy/filecopytest", inTests: true, ours: []string{rootRow, "filecopy", sceneryRow}, third: testLibraries()},
		{folder: "journal/journaltest", inTests: true, ours: []string{rootRow, "journal"}, third: testLibraries()},
		{folder: "provision/provisiontest", inTests: true, ours: []string{rootRow, "provision"}, third: testLibraries()},
		{folder: kafkasimRow, inTests: true, third: []string{franz, kfake}},
		{folder: "control/controltest", inTests: true, ours: []string{rootRow, "control", "workload", "journal", "journal/mem"}, third: testLibraries()},
		{folder: "journal/mem", inTests: true, ours: []string{rootRow, "journal"}},
	}
}

// workloadRows are the vocabulary, the wire, and what stands on them.
func workloadRows() []layer {
	// A workload opens the stores that its plan names, so it knows the members of filecopy (docs/adr/0009).
	member := []string{rootRow, "workload", "filecopy", "filecopy/native", "filecopy/local", "filecopy/*", "wire/*", "offload/*"}
	store := []string{rootRow, "filecopy", azureRow, lineRow, "wire/*", "offload/*"}
	return []layer{
		{folder: rootRow, bare: true},
		{folder: "wire/*", internal: true, ours: []string{"wire/*"}, third: []string{
			"github.com/apache/thrift", "github.com/jcmturner/gokrb5", "google.golang.org/protobuf",
		}},
		{folder: "offload/*", ours: []string{rootRow, "wire/*"}},
		{folder: lineRow},
		{folder: azureRow, ours: []string{rootRow, "filecopy", lineRow}, third: clouds()},
		{folder: "filecopy", ours: []string{rootRow}},
		// Stores are tested with the mover, and against local trees; carriers between trees in HDFS.
		{folder: "filecopy/native", inTests: true, ours: []string{rootRow, "filecopy"}, third: []string{"golang.org/x/time"}},
		{folder: "filecopy/local", inTests: true, ours: []string{rootRow, "filecopy"}, third: []string{"golang.org/x/sys"}},
		// And with each other: a tree comes home from a bucket as it left its cluster.
		{folder: "filecopy/*", inTests: true, ours: store, third: clouds()},
		{folder: "workload/all", ours: []string{"workload", "workload/kafka", "workload/*"}},
		{folder: "workload/kafka", internal: true, ours: member, third: []string{franz}},
		{folder: "workload/*", internal: true, ours: member},
		{folder: "workload", ours: []string{rootRow, "filecopy"}, third: []string{"github.com/robfig/cron/v3"}},
	}
}

// controlRows are the control plane: it knows contracts, never a member.
func controlRows() []layer {
	return []layer{
		{folder: "provision/all", ours: []string{"provision", "provision/azure", "provision/*"}},
		{folder: "provision/azure", ours: []string{rootRow, "provision", "wire/*"}, third: []string{"github.com/Azure/azure-sdk-for-go"}},
		{folder: "provision/*", ours: []string{rootRow, "provision", "wire/*"}},
		{folder: "provision", ours: []string{rootRow}},
		{folder: "journal/etcd", ours: []string{rootRow, "journal"}, third: []string{"go.etcd.io/etcd", "go.uber.org/zap"}},
		{folder: "journal/*", ours: []string{rootRow, "journal"}},
		{folder: "journal", ours: []string{rootRow}},
		{folder: "spec", ours: []string{rootRow, "workload", "provision"}, third: []string{
			"go.yaml.in/yaml/v3", "github.com/google/jsonschema-go",
		}},
		// Tests of kinds walk operations through the engine, by controltest.
		{folder: "control", inTests: true, ours: []string{rootRow, "workload", "provision", "journal"}, third: []string{
			"github.com/failsafe-go/failsafe-go", "golang.org/x/time",
		}},
	}
}

// edgeRows are what people and other programs meet, and the lab, which shares nothing with the product.
func edgeRows() []layer {
	product := []string{
		rootRow, "wire/*", "offload/*", "filecopy", "filecopy/native", "filecopy/local", "filecopy/*", "workload", "workload/all", "workload/kafka", "workload/*",
		"provision", "provision/all", "provision/azure", "provision/*", "journal", "journal/etcd", "journal/*", "journal/mem",
		"spec", "control", "metrics", "api", "web",
	}
	server := with(clouds(), franz, "go.etcd.io/etcd", "go.uber.org/zap")
	return []layer{
		{folder: "metrics", ours: []string{rootRow}, third: []string{"github.com/prometheus/client_golang", "go.opentelemetry.io/otel"}},
		{folder: "api", ours: []string{rootRow, "control", "spec", "metrics"}, third: []string{"github.com/danielgtaylor/huma"}},
		{folder: "web", third: []string{"github.com/a-h/templ"}},
		{folder: "demo", ours: with(product, kafkasimRow), third: []string{franz}},
		{folder: "cmd/understudy", ours: with(product, "demo"), third: []string{
			"github.com/spf13/cobra", "github.com/vbauerster/mpb", "go.yaml.in/yaml/v3", "golang.org/x/term",
		}},
		{folder: "cmd/understudy-lab", lab: true, ours: []string{"lab", "lab/*"}, third: []string{"github.com/spf13/cobra", "github.com/vbauerster/mpb"}},
		{folder: "lab/*", lab: true, ours: []string{"lab"}, third: server},
		{folder: "lab", lab: true, third: server},
		{folder: "e2e", lab: true, ours: []string{"spec", "lab", "lab/*", sceneryRow}, third: []string{franz}},
		{folder: "bench", lab: true, ours: []string{"spec", "lab", "lab/*"}, third: []string{franz}},
	}
}

// clouds are the clients of cloud storage.
func clouds() []string {
	return []string{
		"github.com/minio/minio-go",
		"github.com/Azure/azure-sdk-for-go/sdk/azcore",
		"github.com/Azure/azure-sdk-for-go/sdk/azidentity",
		"github.com/Azure/azure-sdk-for-go/sdk/storage",
	}
}

// testLibraries are open to every _test.go file and to the conformance suites, and to nothing else unless its row names one.
func testLibraries() []string {
	return []string{
		"pgregory.net/rapid",
		"go.uber.org/goleak",
		"github.com/rogpeppe/go-internal",
		"github.com/anishathalye/porcupine",
		"github.com/google/go-cmp",
		kfake,
	}
}

// limits of hand-written code.
const (
	maxFileLines        = 600
	maxFuncLines        = 60
	maxNesting          = 3
	maxInterfaceMethods = 6
	maxWaivers          = 5
)

// forbiddenNames say nothing about what a package provides.
func forbiddenNames() []string {
	return []string{"util", "utils", "common", "base", "helper", "helpers", "misc", "manager", "logic", "inst"}
}

// TestLayers holds this repository to its own law.
func TestLayers(t *testing.T) {
	found, err := checkTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}
