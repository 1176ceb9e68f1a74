package kafka_test

import (
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// What a shell would read in another way is remarked upon, and what can only be meant as it stands is not.
func TestPatternsThatAreHardlyMeant(t *testing.T) {
	for pattern, again := range map[string]string{
		"orders*": `"s"`, "orders-*": `"-"`, `orders\.*`: `"."`, "orders[.]*": `"."`, "2024*": `"4"`, "payments|orders*": `"s"`, "s*": `"s"`,
		"orders.*": "", "orders": "", ".*": "", "orders[0-9]*": "", `orders\d*`: "", "orders(s)*": "", "orders{0,}": "", "(eu|us)-.*": "", "": "", "orders(": "",
	} {
		notes := kafka.Kind().Advise(workload.Spec{Config: &kafka.Config{Topics: []string{"other", pattern}}})
		switch {
		case again == "" && len(notes) > 0:
			t.Errorf("%q is remarked upon: %v", pattern, notes[0].Err)
		case again != "" && (len(notes) != 1 || notes[0].Path != "topics[1]" || !strings.Contains(notes[0].Err.Summary, again)):
			t.Errorf("of %q is said: %+v", pattern, notes)
		}
	}
}

// A pattern that matches no topic is told to whoever asks, beside others that match; the looks that go on all the time
// say nothing, and neither does one that does not see all sites.
func TestAPatternThatMatchesNothingIsToldToWhoAsks(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, &kafka.Config{Topics: []string{"orders", "idle.*", "order-s*"}})
	told := func() string {
		t.Helper()
		seen, err := h.w.Observe(workload.WithDoctor(h.ctx))
		mustLoad(t, err)
		var out []string
		for _, f := range seen.Findings {
			if f.Level == "warning" && f.Code == "US105" {
				out = append(out, string(f.Code)+" "+f.Summary)
			}
		}
		return strings.Join(out, "; ")
	}
	if got := told(); got != `US105 no topic matches the pattern "order-s*"` {
		t.Errorf("doctor is told: %q", got)
	}
	for _, f := range h.observe().Findings {
		if f.Code == "US105" {
			t.Errorf("every look says: %+v", f)
		}
	}
	th.kill(east)
	if got := told(); strings.Contains(got, "US105") {
		t.Errorf("without the primary doctor is told: %q", got)
	}
}
