package workload_test

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/workload"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScheduleNext(t *testing.T) {
	const anchor = "2026-03-01T01:30:00Z"
	for _, c := range []struct{ schedule, after, want string }{
		{"every 4h", "2026-03-01T01:30:00Z", "2026-03-01T05:30:00Z"},
		{"every 4h", "2026-03-01T05:29:59Z", "2026-03-01T05:30:00Z"},
		{"every 4h", "2026-03-09T00:00:00Z", "2026-03-09T01:30:00Z"},
		// The clock was set back behind the anchor.
		{"every 4h", "2026-02-28T20:00:00Z", "2026-02-28T21:30:00Z"},
		{"every 4h", "2026-02-28T21:30:00Z", "2026-03-01T01:30:00Z"},
		{"every 2d", "2026-03-01T02:00:00Z", "2026-03-03T01:30:00Z"},
		{"0 2 * * *", "2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z"},
		{"*/15 8-17 * * MON-FRI", "2026-03-06T17:50:00Z", "2026-03-09T08:00:00Z"},
		{"@daily", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"},
		{"CRON_TZ=Europe/Berlin 0 2 * * *", "2026-03-01T02:00:00Z", "2026-03-02T01:00:00Z"},
		{"CRON_TZ=Europe/Berlin 0 2 * * *", "2026-07-01T02:00:00Z", "2026-07-02T00:00:00Z"},
		// 02:30 does not exist on the day on which clocks go forward.
		{"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
	} {
		s, err := workload.ParseSchedule(c.schedule)
		if err != nil {
			t.Errorf("%s: %v", c.schedule, err)
			continue
		}
		if got := s.Next(at(t, c.after), at(t, anchor)); !got.Equal(at(t, c.want)) {
			t.Errorf("%s after %s: %s, want %s", c.schedule, c.after, got.Format(time.RFC3339), c.want)
		}
		if s.String() != c.schedule || s.IsZero() {
			t.Errorf("%s is written as %s", c.schedule, s)
		}
	}
	if (workload.Schedule{}).Next(at(t, anchor), time.Time{}) != (time.Time{}) {
		t.Error("no schedule comes")
	}
}

func TestScheduleRefuses(t *testing.T) {
	for _, text := range []string{
		"", "every", "every 4", "every -4h", "every 0s", "every 30s", "every 400d", "every 1.5d", "every 1h2d", "every 1hd",
		"every 99999999999d", "@every 4h", "@sometimes", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "TZ=UTC", "TZ=UTC 0 2 * * *",
		"CRON_TZ=", "CRON_TZ=UTC", "CRON_TZ=Local 0 2 * * *", "CRON_TZ=Mars/Olympus 0 2 * * *", "CRON_TZ=UTC TZ=UTC 0 2 * * *", "tomorrow",
	} {
		s, err := workload.ParseSchedule(text)
		var bad *workload.ScheduleError
		if !errors.As(err, &bad) || bad.Text != text || !s.IsZero() {
			t.Errorf("%q is taken as %q: %v", text, s, err)
		}
	}
}

// Whatever text is given, it is read or refused, and what is read comes.
func FuzzSchedule(f *testing.F) {
	f.Add("every 4h")
	f.Add("CRON_TZ=Europe/Berlin 30 2 * * 7")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := workload.ParseSchedule(text)
		if err != nil {
			return
		}
		now := at(t, "2026-03-01T01:30:00Z")
		if next := s.Next(now, now.Add(-time.Hour)); !next.After(now) {
			t.Errorf("%q comes at %s after %s", text, next, now)
		}
	})
}
