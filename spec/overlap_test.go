package spec

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// TestOverlappingWorkloads places what a kind says about two workloads at the later one, within a plan and across two.
func TestOverlappingWorkloads(t *testing.T) {
	queue, _ := toys().Kind("queue")
	queue.Overlap = func(a, b workload.Spec) *workload.FieldError {
		if a.Config.(*queueConfig).Topics[0].String() != b.Config.(*queueConfig).Topics[0].String() {
			return nil
		}
		return &workload.FieldError{Path: "topics[0]", Err: &understudy.Error{Code: "US133", Summary: fmt.Sprintf("shared with %s/%s", b.Plan, b.Name)}}
	}
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	workloadOf := func(name, topic string) string {
		return fmt.Sprintf("  - {name: %s, kind: queue, architecture: active-passive, cluster: streaming, objective: {rpo: 30s, rto: 10m}, onFailure: stop, topics: [%q]}\n", name, topic)
	}
	plan := func(name string, workloads ...string) string {
		return "plan: " + name + "\nhome: east\nsites: [east, west]\nworkloads:\n" + strings.Join(workloads, "")
	}
	for name, c := range map[string]struct{ text, want string }{
		"one plan":  {plan("a", workloadOf("x", "orders"), workloadOf("y", "orders")), "shared with a/x"},
		"two plans": {plan("a", workloadOf("x", "orders")) + "---\n" + plan("b", workloadOf("y", "orders")), "shared with a/x"},
		"apart":     {plan("a", workloadOf("x", "orders"), workloadOf("y", "bills")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(workload.NewRegistry(queue), Set{}, Source{Name: "base", Text: base}, Source{Name: "plans", Text: []byte(c.text)})
			var problems Problems
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (!errors.As(err, &problems) || len(problems) != 1 || problems[0].Code != "US133" || problems[0].Summary != c.want):
				t.Fatalf("%v", err)
			}
		})
	}
}
