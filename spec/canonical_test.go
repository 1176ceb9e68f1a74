package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy"
)

// TestCanonicalKeepsEveryText shows that any text, however YAML might take it, survives the canonical form.
func TestCanonicalKeepsEveryText(t *testing.T) {
	words := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"null", "~", "true", "No", "1", "0x1f", "1e3", ".5", "-", "- a", "a: b", "a #b", "#", "[a]", "{a}", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "'", "\"", "''",
		" a", "a ", "\n", "a\n", "\ta", "a\\n", "---", "...", "<<", "=", "2026-01-01", "12:30", "1_000", "\u0085", "\u2028", "\ufeff", "\x7f", "\x00", "é", "日本", "🙂", "?", "? a", ":", "a:", "::",
	}))
	labels := rapid.MapOf(words.Filter(func(s string) bool { return s != "" }), words.Filter(func(s string) bool { return s != "" && !literalSecret(s) }))
	rapid.Check(t, func(t *rapid.T) {
		want := labels.Draw(t, "labels")
		c := &queueConfig{Labels: want, Topics: []understudy.Pattern{pattern(t)}, Guard: rapid.Bool().Draw(t, "guard"), Batch: understudy.Size(rapid.Int64Range(0, 1<<50).Draw(t, "batch")),
			Every: time.Duration(rapid.Int64Range(0, int64(1e18)).Draw(t, "every")), Rate: rapid.Float64Range(-1e9, 1e9).Draw(t, "rate"), Streams: int8(rapid.IntRange(-128, 16).Draw(t, "streams"))}
		got := again(t, c)
		if !reflect.DeepEqual(got.Labels, want) && len(want)+len(got.Labels) > 0 {
			t.Fatalf("labels %q became %q", want, got.Labels)
		}
		if got.Guard != c.Guard || got.Batch != c.Batch || got.Every != c.Every || got.Rate != c.Rate || got.Streams != c.Streams || got.Topics[0].String() != c.Topics[0].String() {
			t.Fatalf("%+v became %+v", c, got)
		}
	})
}

func pattern(t *rapid.T) understudy.Pattern {
	for {
		p, err := understudy.ParsePattern(rapid.StringMatching(`[a-zA-Z0-9.*+?()|'" #:\\-]{1,12}`).Draw(t, "pattern"))
		if err == nil {
			return p
		}
	}
}

// again writes a configuration in canonical form and reads it back.
func again(t *rapid.T, c *queueConfig) *queueConfig {
	set, err := Parse(toys(), Set{}, Source{Name: "text", Text: []byte(baseText + smallPlan)})
	if err != nil {
		t.Fatal(render(err))
	}
	for _, d := range set.docs {
		if d.plan != nil {
			d.plan.Workloads[0].config = c
		}
	}
	back, err := Parse(toys(), Set{}, Source{Name: "canonical", Text: []byte(set.Canonical())})
	if err != nil {
		t.Fatalf("refused: %s\n%s", render(err), set.Canonical())
	}
	return back.Plans[0].Workloads[0].Config.(*queueConfig)
}

const baseText = `site: east
clusters: { streaming: { queue: { brokers: ["e:1"] } } }
---
site: west
clusters: { streaming: { queue: { brokers: ["w:1"] } } }
---
`

const smallPlan = `plan: small
home: west
sites: [west, east]
workloads:
  - { name: q, kind: queue, architecture: active-passive, cluster: streaming, objective: {rpo: 1m, rto: 1d}, onFailure: continue, topics: [".+"] }
`

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"30s": "30s", "10m": "10m", "5h": "5h", "90m": "1h30m", "1h30m5s": "1h30m5s", "7d": "168h", "1.5s": "1.5s", "100ms": "100ms", "60s": "1m", "3600s": "1h", "10h0m": "10h", "1h5s": "1h0m5s",
	} {
		d, err := ParseDuration(text)
		if err != nil || FormatDuration(d) != want {
			t.Errorf("%s is %s, %v; want %s", text, FormatDuration(d), err, want)
		}
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Errorf("%s does not read back: %s, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "d", "0s", "-1s", "1.5d", "1h2d", "9999999999d", "106751991168d", "30", "s", "1w", "∞"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
}

func TestSizesAndPatternsOfTheVocabulary(t *testing.T) {
	for text, want := range map[string]understudy.Size{"64MiB": 64 << 20, "1kB": 1000, "0B": 0, "3 GiB": 3 << 30, "2TB": 2e12} {
		s, err := understudy.ParseSize(text)
		if err != nil || s != want {
			t.Errorf("%s is %d, %v", text, s, err)
		}
		if back, err := understudy.ParseSize(s.String()); err != nil || back != s {
			t.Errorf("%s does not read back from %s", text, s)
		}
	}
	for _, text := range []string{"", "64", "MiB", "-1B", "1.5GiB", "64mb", "99999999999TiB", "0x1B"} {
		if s, err := understudy.ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, s)
		}
	}
	for _, text := range []string{"a)|(b", "", "[", "*", `\A`} {
		p, err := understudy.ParsePattern(text)
		if err == nil && p.Match("anything") {
			t.Errorf("%q matches", text)
		}
	}
	p, err := understudy.ParsePattern("a|b.*")
	if err != nil || !p.Match("a") || !p.Match("bc") || p.Match("ab") || p.Match("xb") || p.Match("a\n") {
		t.Errorf("alternatives are not anchored: %v", err)
	}
	if got := fmt.Sprint(p); !strings.Contains(got, "a|b.*") {
		t.Errorf("it prints as %s", got)
	}
}
