package workload

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when something runs: "every 4h", counted from a beginning, or a cron expression of five fields,
// "0 2 * * *", in UTC unless "CRON_TZ=Europe/Berlin " stands before it. The zero Schedule never comes.
type Schedule struct {
	text  string
	every time.Duration
	cron  cron.Schedule
	zone  *time.Location
}

// ScheduleError says why a text is no schedule.
type ScheduleError struct{ Text, Why string }

// Error gives the reason.
func (e *ScheduleError) Error() string { return fmt.Sprintf("%q is not a schedule: %s", e.Text, e.Why) }

// The bounds of "every".
const (
	leastEvery = time.Minute
	mostEvery  = 366 * 24 * time.Hour
)

// ParseSchedule reads a schedule. The error is a *ScheduleError.
func ParseSchedule(text string) (Schedule, error) {
	if span, ok := strings.CutPrefix(text, "every "); ok {
		return parseEvery(text, span)
	}
	return parseCron(text)
}

func parseEvery(text, span string) (Schedule, error) {
	read, days := strings.CutSuffix(span, "d")
	if days {
		read += "h"
	}
	d, err := time.ParseDuration(read)
	if days && (d%time.Hour != 0 || strings.ContainsAny(strings.TrimSuffix(read, "h"), ".hms")) {
		err = fmt.Errorf("days are whole")
	}
	if days && d < mostEvery {
		d *= 24
	}
	switch {
	case err != nil:
		return Schedule{}, &ScheduleError{text, fmt.Sprintf("%q is not a duration", span)}
	case d < leastEvery || d > mostEvery:
		return Schedule{}, &ScheduleError{text, "it runs at least once in 366 days and at most once a minute"}
	default:
		return Schedule{text: text, every: d}, nil
	}
}

// parseCron takes the time zone off itself: the library takes its own for a local one, and panics on "TZ=x".
func parseCron(text string) (Schedule, error) {
	s := Schedule{text: text, zone: time.UTC}
	fields := text
	if rest, ok := strings.CutPrefix(text, "CRON_TZ="); ok {
		name, after, _ := strings.Cut(rest, " ")
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" || name == "Local" {
			return Schedule{}, &ScheduleError{text, fmt.Sprintf("there is no time zone %q here", name)}
		}
		s.zone, fields = zone, after
	}
	if strings.Contains(fields, "TZ=") || strings.HasPrefix(strings.TrimSpace(fields), "@every") {
		return Schedule{}, &ScheduleError{text, `it is neither "every 4h" nor a cron expression of five fields`}
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(fields)
	if err != nil {
		return Schedule{}, &ScheduleError{text, err.Error()}
	}
	s.cron = parsed
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}).IsZero() {
		return Schedule{}, &ScheduleError{text, "it never comes"}
	}
	return s, nil
}

// IsZero says that there is no schedule.
func (s Schedule) IsZero() bool { return s.text == "" }

// Next gives the first moment after the given one at which something runs. Moments of "every" are counted from the
// anchor, in both directions; cron expressions need none, and skip a moment that a change of clocks leaves out.
// It is zero for the zero Schedule.
func (s Schedule) Next(after, anchor time.Time) time.Time {
	switch {
	case s.every > 0:
		steps := after.Sub(anchor) / s.every
		next := anchor.Add(steps * s.every)
		for !next.After(after) {
			next = next.Add(s.every)
		}
		for earlier := next.Add(-s.every); earlier.After(after); earlier = next.Add(-s.every) {
			next = earlier
		}
		return next
	case s.cron != nil:
		if next := s.cron.Next(after.In(s.zone)); !next.IsZero() {
			return next.UTC()
		}
	}
	return time.Time{}
}

// String gives the schedule as it was written.
func (s Schedule) String() string { return s.text }

// UnmarshalText reads the schedule as ParseSchedule does.
func (s *Schedule) UnmarshalText(text []byte) error {
	v, err := ParseSchedule(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// MarshalText gives String.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.text), nil }
