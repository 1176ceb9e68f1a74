package understudy

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Size is an amount of data in bytes, written in files as a number with a unit: "64MiB", "1GiB", "500kB".
type Size int64

// sizeUnits are the units of a Size, largest first.
func sizeUnits() []struct {
	Name  string
	Bytes int64
} {
	return []struct {
		Name  string
		Bytes int64
	}{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a whole number followed by B, kB, MB, GB, TB, KiB, MiB, GiB or TiB. A number without a unit
// is refused: its meaning could only be guessed.
func ParseSize(text string) (Size, error) {
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, u.Name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
		if err != nil {
			return 0, fmt.Errorf("%q is not a size such as 64MiB", text)
		}
		if n > uint64(1<<63-1)/uint64(u.Bytes) {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return Size(int64(n) * u.Bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size: a whole number and a unit such as kB, MiB or GiB", text)
}

// String gives the size in the largest unit that divides it, such as "64MiB".
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.Bytes == 0 {
			return strconv.FormatInt(int64(s)/u.Bytes, 10) + u.Name
		}
	}
	return "0B"
}

// UnmarshalText reads the size as ParseSize does.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// MarshalText gives String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Pattern is an RE2 expression that is anchored at both ends: it matches whole names only. The zero Pattern
// matches nothing.
type Pattern struct {
	text string
	re   *regexp.Regexp
}

// PatternError says which part of an expression is wrong.
type PatternError struct {
	Text string
	// Part is the piece of Text at fault; empty when it is the whole.
	Part string
	Why  string
}

// Error gives the reason and the part.
func (e *PatternError) Error() string {
	if e.Part == "" || e.Part == e.Text {
		return e.Why
	}
	return e.Why + ": " + e.Part
}

// ParsePattern compiles an expression, anchored. The error is a *PatternError.
func ParsePattern(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, &PatternError{Text: text, Why: "an empty pattern matches nothing"}
	}
	// Compiled alone first, so that "a)|(b" is refused instead of completed by our own group.
	_, err := regexp.Compile(text)
	if err == nil {
		re, anchored := regexp.Compile(`\A(?:` + text + `)\z`)
		if anchored == nil {
			return Pattern{text: text, re: re}, nil
		}
		err = anchored
	}
	bad := &PatternError{Text: text, Why: err.Error()}
	var se *syntax.Error
	if errors.As(err, &se) {
		bad.Part, bad.Why = se.Expr, se.Code.String()
	}
	return Pattern{}, bad
}

// Match says whether the whole name matches.
func (p Pattern) Match(name string) bool { return p.re != nil && p.re.MatchString(name) }

// String gives the expression as it was written, without the anchors.
func (p Pattern) String() string { return p.text }

// UnmarshalText compiles the expression as ParsePattern does.
func (p *Pattern) UnmarshalText(text []byte) error {
	v, err := ParsePattern(string(text))
	if err != nil {
		return err
	}
	*p = v
	return nil
}

// MarshalText gives String.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// SecretName names a secret. Its value is known to `serve` only; files never hold one.
type SecretName string

// HookName names a command that `serve` may run at a stage; files never hold the command.
type HookName string

// OnFailure says what a plan wants when a step of one workload fails. It has no default.
type OnFailure string

// The choices. Quarantine is possible before PROMOTE only; continue applies to prove, route, reverse and unfreeze,
// and never to fence, halt or PROMOTE.
const (
	Stop       OnFailure = "stop"
	Quarantine OnFailure = "quarantine"
	Continue   OnFailure = "continue"
)

// ProvisionerName names a means, known to `serve` only, by which a cluster is made and removed.
type ProvisionerName string
