package bench_test

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is what was seen at one moment of a copy: the records at the target, and the processor time that each
// process had used since it was started.
type sample struct {
	at                    time.Time
	records               int64
	mover, source, target time.Duration
}

// load is a topic that is copied.
type load struct {
	codec   string
	topic   string
	records int64
	// logical is the size of keys and values as the producer gave them, and wire that of the batches, in bytes.
	logical, wire int64
}

// cost is what a span of a copy used: processor seconds for each gigabyte of the records before compression.
type cost struct {
	mover, source, target float64
	// rate is in megabytes of the records per second of the wall clock.
	rate float64
}

// between gives the cost of what was copied from one sample to another.
func (l load) between(a, z sample) cost {
	bytes := float64(l.logical) * float64(z.records-a.records) / float64(l.records)
	per := func(from, to time.Duration) float64 { return (to - from).Seconds() / (bytes / 1e9) }
	return cost{
		mover: per(a.mover, z.mover), source: per(a.source, z.source), target: per(a.target, z.target),
		rate: bytes / 1e6 / z.at.Sub(a.at).Seconds(),
	}
}

// all is the cost with both brokers.
func (c cost) all() float64 { return c.mover + c.source + c.target }

// run is one copy of all of a load.
type run struct {
	// copying is from the first record to the last; for understudy from the order to protect to the last.
	copying cost
	// late is the second half of the records.
	late cost
	// life is the mover's processor time since its start, in seconds per gigabyte.
	life float64
	// peak is the mover's largest resident memory, in bytes.
	peak int64
}

// figures makes a run from its samples, of which the one at index from is the last before the copying.
func (l load) figures(all []sample, from int, peak int64) run {
	last := all[len(all)-1]
	half := slices.IndexFunc(all, func(s sample) bool { return s.records >= l.records/2 })
	r := run{copying: l.between(all[from], last), life: last.mover.Seconds() / (float64(l.logical) / 1e9), peak: peak}
	if half < len(all)-1 {
		r.late = l.between(all[half], last)
	}
	return r
}

// pair is one round: the same load copied by both, one after the other.
type pair struct{ ours, theirs run }

// result is all rounds of one load.
type result struct {
	load
	pairs []pair
}

// over gives a figure of all rounds.
func (r result) over(f func(pair) float64) spread {
	all := make([]float64, len(r.pairs))
	for i, p := range r.pairs {
		all[i] = f(p)
	}
	return spread(all)
}

// spread is a figure in each round.
type spread []float64

// median is the middle one, or the mean of the two middle ones; not a number where there is none.
func (s spread) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// text gives the median with the smallest and the largest, in one form.
func (s spread) text(form string) string {
	return fmt.Sprintf(form+" ("+form+"–"+form+")", s.median(), slices.Min(s), slices.Max(s))
}

// ratios say how many times more the other side used, round by round.
type ratios struct{ copying, late, life, brokers spread }

func (r result) ratios() ratios {
	return ratios{
		copying: r.over(func(p pair) float64 { return p.theirs.copying.mover / p.ours.copying.mover }),
		late:    r.over(func(p pair) float64 { return p.theirs.late.mover / p.ours.copying.mover }),
		life:    r.over(func(p pair) float64 { return p.theirs.life / p.ours.life }),
		brokers: r.over(func(p pair) float64 { return p.theirs.late.all() / p.ours.copying.all() }),
	}
}

// line tells a case in one line.
func (r result) line() string {
	perSecond := func(f func(pair) cost) float64 {
		return r.over(func(p pair) float64 { return 1000 / f(p).mover }).median()
	}
	all := r.ratios()
	return fmt.Sprintf("%s: %.0f MB per CPU-second, %s tuned %.0f (warm %.0f): %.1f times less CPU, %.1f than its warm half; median of %d rounds",
		r.codec, perSecond(func(p pair) cost { return p.ours.copying }), rival,
		perSecond(func(p pair) cost { return p.theirs.copying }), perSecond(func(p pair) cost { return p.theirs.late }),
		all.copying.median(), all.late.median(), len(r.pairs))
}

// table writes all cases as two tables in Markdown.
func table(w io.Writer, all []result) {
	fmt.Fprintf(w, "| topic | mover | MB per CPU-second | CPU-s per GB | source broker | target broker | MB/s | peak memory |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		for _, row := range []struct {
			mover string
			cost  func(pair) cost
			peak  func(pair) int64
		}{
			{"**understudy**", func(p pair) cost { return p.ours.copying }, func(p pair) int64 { return p.ours.peak }},
			{rival + " tuned", func(p pair) cost { return p.theirs.copying }, func(p pair) int64 { return p.theirs.peak }},
			{"the same, second half", func(p pair) cost { return p.theirs.late }, func(p pair) int64 { return p.theirs.peak }},
		} {
			of := func(f func(cost) float64) spread {
				return r.over(func(p pair) float64 { return f(row.cost(p)) })
			}
			fmt.Fprintf(w, "| %s | %s | %.0f | %s | %.2f | %.2f | %.0f | %.0f MB |\n", r.codec, row.mover,
				of(func(c cost) float64 { return 1000 / c.mover }).median(), of(func(c cost) float64 { return c.mover }).text("%.2f"),
				of(func(c cost) float64 { return c.source }).median(), of(func(c cost) float64 { return c.target }).median(),
				of(func(c cost) float64 { return c.rate }).median(), r.over(func(p pair) float64 { return float64(row.peak(p)) / 1e6 }).median())
		}
	}
	fmt.Fprintf(w, "\n| topic | rounds | size, on the wire | times less CPU | than the warm half | with both start-ups | with both brokers, warm half |\n|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		x := r.ratios()
		fmt.Fprintf(w, "| %s | %d | %.0f MB, %.0f MB | **%s** | **%s** | %s | %s |\n", r.codec, len(r.pairs), float64(r.logical)/1e6, float64(r.wire)/1e6,
			x.copying.text("%.1f"), x.late.text("%.1f"), x.life.text("%.1f"), x.brokers.text("%.1f"))
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   spread
		want float64
	}{{spread{3}, 3}, {spread{9, 1, 2}, 2}, {spread{4, 1, 2, 9}, 3}} {
		if got := c.of.median(); got != c.want {
			t.Errorf("%v: %v", c.of, got)
		}
	}
	if !math.IsNaN(spread(nil).median()) {
		t.Error("nothing has a median")
	}
}

// TestFigures takes a copy of 2 GB whose mover used 2 s to start, 30 s for the first gigabyte and 10 s for the second.
func TestFigures(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(second, records, mover, source, target int) sample {
		s := time.Second
		return sample{start.Add(time.Duration(second) * s), int64(records), time.Duration(mover) * s, time.Duration(source) * s, time.Duration(target) * s}
	}
	l := load{codec: "zstd", records: 200, logical: 2e9, wire: 1e9}
	samples := []sample{at(0, 0, 1, 100, 200), at(1, 0, 2, 100, 200), at(21, 100, 32, 101, 202), at(31, 200, 42, 104, 204)}
	theirs := l.figures(samples, 1, 5e8)
	want := run{copying: cost{20, 2, 2, 2000.0 / 30}, late: cost{10, 3, 2, 100}, life: 21, peak: 5e8}
	if theirs != want {
		t.Errorf("%+v\nis not\n%+v", theirs, want)
	}
	ours := l.figures([]sample{at(0, 0, 1, 0, 0), at(4, 200, 3, 2, 4)}, 0, 1e8)
	r := result{l, []pair{{ours, theirs}}}
	if x := r.ratios(); x.copying.median() != 20 || x.late.median() != 10 || x.life.median() != 14 || x.brokers.median() != 15.0/4 {
		t.Errorf("ratios %+v", x)
	}
	if line := r.line(); !strings.Contains(line, "1000 MB per CPU-second") || !strings.Contains(line, "20.0 times less CPU, 10.0 than") {
		t.Error(line)
	}
	var b strings.Builder
	table(&b, []result{r})
	if !strings.Contains(b.String(), "| zstd | **understudy** | 1000 | 1.00 (1.00–1.00) | 1.00 | 2.00 | 500 | 100 MB |") {
		t.Error(b.String())
	}
}
