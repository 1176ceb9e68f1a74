package kafka_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// scenario is one story in testdata/decide: what was seen, what was remembered, and the stages asked about.
type scenario struct {
	Story string `json:"story"`
	// Base names another scenario from which everything that is not said here is taken.
	Base      string                              `json:"base,omitempty"`
	Config    *kafka.Config                       `json:"config,omitempty"`
	Endpoints map[understudy.Site]*kafka.Endpoint `json:"endpoints,omitempty"`
	Seen      *sight                              `json:"seen,omitempty"`
	Kept      map[string]json.RawMessage          `json:"kept,omitempty"`
	Receipts  []understudy.Receipt                `json:"receipts,omitempty"`
	Stages    []question                          `json:"stages"`
}

type sight struct {
	Sites    map[understudy.Site]workload.SiteFacts `json:"sites"`
	Findings []workload.Finding                     `json:"findings,omitempty"`
	Facts    *kafka.Facts                           `json:"facts"`
}

type question struct {
	Verb  understudy.Verb      `json:"verb"`
	Stage understudy.StageName `json:"stage"`
	Old   understudy.Site      `json:"old"`
	To    understudy.Site      `json:"to"`
	Now   understudy.Role      `json:"now"`
}

func readScenario(t *testing.T, name string) scenario {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", "decide", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s scenario
	if err := json.Unmarshal(doc, &s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if s.Base == "" {
		return s
	}
	out := readScenario(t, s.Base)
	if err := json.Unmarshal(doc, &out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out.Receipts = s.Receipts
	return out
}

var update = flag.Bool("update", false, "write the expected transcripts anew")

func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			got := transcript(t, readScenario(t, name))
			golden := strings.TrimSuffix(f, ".json") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
		})
	}
}

// transcript tells the decisions of a scenario, twice: the same facts must give the same steps.
func transcript(t *testing.T, s scenario) string {
	t.Helper()
	first := tell(t, s)
	if diff := cmp.Diff(first, tell(t, s)); diff != "" {
		t.Fatalf("two decisions on the same facts differ:\n%s", diff)
	}
	return first
}

func tell(t *testing.T, s scenario) string {
	t.Helper()
	spec := workload.Spec{Plan: "contoso", Name: "orders", Home: east, Sites: []understudy.Site{east, west}, Config: s.Config, Clusters: map[understudy.Site]any{}}
	for site, e := range s.Endpoints {
		spec.Clusters[site] = e
	}
	w, err := kafka.Kind().Open(t.Context(), spec, workload.Opening{ControlPlane: "cp-1"})
	if err != nil {
		t.Fatal(err)
	}
	kept := understudy.Keep{}
	for name, doc := range s.Kept {
		kept[name] = doc
	}
	seen := workload.Observation{Sites: s.Seen.Sites, Findings: s.Seen.Findings, Facts: s.Seen.Facts}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", s.Story)
	for _, q := range s.Stages {
		steps, err := w.Decide(understudy.Stage{
			Name: q.Stage, Verb: q.Verb, Operation: "op-1", Plan: "contoso", Workload: "orders", ControlPlane: "cp-1",
			Now: q.Now, Before: q.Now, After: q.Now, Old: q.Old, To: q.To, Receipts: s.Receipts, Kept: kept,
		}, seen)
		fmt.Fprintf(&b, "\n> %s %s (%s to %s, %s)\n", q.Verb, q.Stage, q.Old, q.To, q.Now)
		describe(&b, steps, err)
	}
	return b.String()
}

func describe(b *strings.Builder, steps []understudy.Step, err error) {
	if e := (*understudy.Error)(nil); errors.As(err, &e) {
		fmt.Fprintf(b, "refused, %s: %s\n  fix: %s\n", e.Kind, e.Error(), e.Fix)
		return
	}
	if len(steps) == 0 {
		fmt.Fprintln(b, "no steps")
	}
	for _, s := range steps {
		late := ""
		if s.Late {
			late = ", late"
		}
		fmt.Fprintf(b, "%s (%s%s): %s\n  %s\n", s.ID, s.Class, late, s.Summary, s.Args)
		if s.Before != nil {
			fmt.Fprintf(b, "  before: %s\n", s.Before)
		}
	}
}
