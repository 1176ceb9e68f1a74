package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy"
)

// budget is how long the story may take on two cores.
const budget = 10 * time.Second

// slow is the rate of orders where the promises are what counts: with the race detector, two thousand a second take
// most of the time.
const slow = 400

// TestStoryInTime plays the story as a user sees it. A busy machine gets three tries to be quick; the promises hold
// in each.
func TestStoryInTime(t *testing.T) {
	var took time.Duration
	for range 3 {
		var told bytes.Buffer
		began := time.Now()
		r := play(t, Options{Audience: &Prose{W: &told}})
		took = time.Since(began)
		golden(t, "story.txt", masked(told.String()))
		document, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "keys.txt", keys(t, document))
		if took <= budget {
			return
		}
	}
	t.Fatalf("the story took %s, longer than %s", took, budget)
}

// TestStoryAtOtherMoments kills the primary at moments that differ, the very first ones of the load included.
func TestStoryAtOtherMoments(t *testing.T) {
	for _, load := range []time.Duration{137 * time.Millisecond, 613 * time.Millisecond, 1901 * time.Millisecond} {
		t.Run(load.String(), func(t *testing.T) {
			t.Parallel()
			play(t, Options{LoadFor: load, Rate: slow})
		})
	}
}

// play tells the story and wants every promise kept.
func play(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Play(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\nviolated: %q\nresult: %+v", err, r.Violated, r)
	}
	if r.Acknowledged != r.Survived+r.Lost || r.Lost > r.LostBoundClaimed || r.Ledgered != r.Lost+r.LedgeredUnacknowledged {
		t.Fatalf("the counts do not add up: %+v", r)
	}
	if r.SwitchoverAcknowledged == 0 || r.SwitchoverLost != 0 || r.Duplicates != 0 || r.LostBoundSeconds <= 0 || r.RTO.Total <= 0 {
		t.Fatalf("the counts are not those of the story: %+v", r)
	}
	tree := r.Tree
	if tree.Files != tree.Survived+tree.Lost || tree.Lost > tree.LostBoundClaimed || tree.LedgeredLost != tree.Lost || tree.LostBoundSeconds <= 0 {
		t.Fatalf("the counts of the tree do not add up: %+v", tree)
	}
	if tree.SwitchoverFiles == 0 || tree.SwitchoverLost != 0 || tree.Survived == 0 || tree.Runs == 0 || !slices.Equal(r.Order, []understudy.WorkloadName{invoices, orders}) {
		t.Fatalf("the counts of the tree are not those of the story: %+v, order %v", tree, r.Order)
	}
	return r
}

// stopper ends the story at one of its steps.
type stopper struct {
	nobody
	at   int
	stop func()
}

func (s stopper) Begin(step Step) {
	if step.Number == s.at {
		s.stop()
	}
}

// TestInterruptedStoryLeavesNothing ends the story while it sells, takes over and switches home.
func TestInterruptedStoryLeavesNothing(t *testing.T) {
	for _, at := range []int{2, 3, 9} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if _, err := Play(ctx, Options{Rate: slow, Audience: stopper{at: at, stop: cancel}}); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want the interruption", err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Fatalf("left behind: %v %v", left, err)
			}
		})
	}
}

// masked replaces what differs from one telling to the next: times, and the counts in the lines below a title.
func masked(text string) string {
	times, counts := regexp.MustCompile(`\b[0-9.]+(m|µ)?s\b`), regexp.MustCompile(`\b[0-9]+\b`)
	lines := strings.Split(times.ReplaceAllString(text, "TIME"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "   ") {
			lines[i] = counts.ReplaceAllString(line, "N")
		}
	}
	return strings.Join(lines, "\n")
}

// keys lists the keys of a document, a line each.
func keys(t *testing.T, document []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				out = append(out, prefix+k)
				walk(prefix+k+".", v[k])
			}
		case []any:
			if len(v) > 0 {
				walk(prefix, v[0])
			}
		}
	}
	walk("", v)
	return strings.Join(out, "\n") + "\n"
}

// golden compares with a file of testdata; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", file, diff)
	}
}
