package spec

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// scalar fills v when it is of a scalar type; false when it is not.
func (r *reader) scalar(n *yaml.Node, v reflect.Value, path string, f field) bool {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		r.duration(n, p, path)
		return true
	case *understudy.SecretName:
		r.secretName(n, p, path)
		return true
	case *understudy.Size:
		r.size(n, p, path)
		return true
	}
	if u, ok := textual(v); ok {
		if text, ok := r.text(n, path); ok {
			r.own(u.UnmarshalText([]byte(text)), text, path)
		}
		return true
	}
	switch v.Kind() {
	case reflect.String:
		r.word(n, v, path, f)
	case reflect.Bool:
		r.boolean(n, v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		r.integer(n, v, path)
	case reflect.Float32, reflect.Float64:
		r.decimal(n, v, path)
	default:
		return false
	}
	return true
}

// text gives the text of a scalar that is text; numbers and the like must be quoted to be text.
func (r *reader) text(n *yaml.Node, path string) (string, bool) {
	switch {
	case isText(n):
		return n.Value, true
	case n.Kind == yaml.ScalarNode:
		r.wrong(n, path, aText, fmt.Sprintf("%q", n.Value))
	default:
		r.wrong(n, path, aText, "")
	}
	return "", false
}

func (r *reader) word(n *yaml.Node, v reflect.Value, path string, f field) {
	text, ok := r.text(n, path)
	if !ok {
		return
	}
	v.SetString(text)
	if literalSecret(text) {
		r.secret(r.placeOf(n), path, "it contains a password or a private key")
		return
	}
	if isName(v.Interface()) {
		if why := NameProblem(text); why != "" {
			r.on(path, Problem{Code: codeName, Summary: fmt.Sprintf("%q is not a name", short(text)), Why: why, Suggestion: asName(text)})
		}
		return
	}
	if f.name == "secret" && NameProblem(text) != "" {
		r.secretName(n, new(understudy.SecretName), path)
		return
	}
	if len(f.enum) == 0 {
		if text == "" {
			r.on(path, Problem{Code: codeNull, Summary: path + " is empty", Fix: "write a value, or remove the key"})
		}
		return
	}
	for _, e := range f.enum {
		if e == text {
			return
		}
	}
	r.on(path, Problem{Code: codeValue, Summary: fmt.Sprintf("%s cannot be %q", path, short(text)),
		Suggestion: nearest(text, f.enum), Fix: "write " + listed(f.enum)})
}

// own reports what a type's own reading refused.
func (r *reader) own(err error, text, path string) {
	if err == nil {
		return
	}
	var se *workload.ScheduleError
	if errors.As(err, &se) {
		r.on(path, Problem{Code: codeSchedule, Summary: fmt.Sprintf("%q is not a schedule: %s", short(text), se.Why),
			Fix: `write "every 4h", or a cron expression of five fields such as "0 2 * * *"`})
		return
	}
	pe, ok := patternOf(err)
	if !ok {
		r.on(path, Problem{Code: codeValue, Summary: fmt.Sprintf("%s: %s", path, err)})
		return
	}
	at := r.find(path)
	line := []rune(r.file.line(at.line))
	if from := at.column - 1; pe.Part != "" && from < len(line) {
		if i := strings.Index(string(line[from:]), pe.Part); i >= 0 {
			at.column += utf8.RuneCountInString(string(line[from:])[:i])
			at.width = utf8.RuneCountInString(pe.Part)
		}
	}
	p := Problem{Code: codePattern, Summary: fmt.Sprintf("%q is not a pattern: %s", short(text), pe.Why),
		Why: "patterns are RE2 expressions that match whole names", Fix: "`orders[.].*` matches every name that begins with \"orders.\""}
	if strings.HasPrefix(text, "*") {
		p.Suggestion = "." + text
	}
	r.at(at, path, p)
}

func (r *reader) duration(n *yaml.Node, out *time.Duration, path string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
		r.on(path, Problem{Code: codeDuration, Summary: fmt.Sprintf("%s is a number without a unit", path), Suggestion: nodeText(n) + "s",
			Fix: "write a duration such as 30s, 10m or 5h"})
		return
	}
	text, ok := r.text(n, path)
	if !ok {
		return
	}
	d, err := ParseDuration(text)
	if err != nil {
		r.on(path, Problem{Code: codeDuration, Summary: fmt.Sprintf("%s: %s", path, err), Fix: "write a duration such as 30s, 10m or 5h"})
		return
	}
	*out = d
}

// ParseDuration reads a positive duration: "500ms", "30s", "10m", "5h", "1h30m", or whole days such as "7d".
func ParseDuration(text string) (time.Duration, error) {
	read := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		read = days + "h"
	}
	d, err := time.ParseDuration(read)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration", short(text))
	}
	if read != text {
		if d > math.MaxInt64/24 || d%time.Hour != 0 || strings.ContainsAny(text, ".hms") {
			return 0, fmt.Errorf("%q is not a duration", short(text))
		}
		d *= 24
	}
	if d <= 0 {
		return 0, fmt.Errorf("%q is not a positive duration", short(text))
	}
	return d, nil
}

// FormatDuration gives a duration as files write it, such as "10m" or "1h30m".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (r *reader) size(n *yaml.Node, out *understudy.Size, path string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
		r.on(path, Problem{Code: codeSize, Summary: fmt.Sprintf("%s is a number without a unit", path), Suggestion: nodeText(n) + "B",
			Fix: "write a size such as 64MiB"})
		return
	}
	text, ok := r.text(n, path)
	if !ok {
		return
	}
	s, err := understudy.ParseSize(text)
	if err != nil {
		r.on(path, Problem{Code: codeSize, Summary: fmt.Sprintf("%s: %s", path, err), Fix: "write a size such as 64MiB"})
		return
	}
	*out = s
}

func (r *reader) secretName(n *yaml.Node, out *understudy.SecretName, path string) {
	if n.Kind != yaml.ScalarNode {
		r.wrong(n, path, secretWord, "")
		return
	}
	text := nodeText(n)
	if NameProblem(text) != "" || !isText(n) {
		r.secret(r.placeOf(n), path, "the name of a secret has lower-case letters, digits, '-', '_' and '.' only; what stands here does not")
		return
	}
	*out = understudy.SecretName(text)
}

func (r *reader) boolean(n *yaml.Node, v reflect.Value, path string) {
	if n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
		r.wrong(n, path, trueOrFalse, boolWord(nodeText(n)))
		return
	}
	v.SetBool(n.Value == "true")
}

func boolWord(text string) string {
	switch strings.ToLower(text) {
	case "yes", "on", "1", "true":
		return "true"
	case "no", "off", "0", "false":
		return "false"
	}
	return ""
}

func (r *reader) integer(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		r.wrong(n, path, wholeNumber, "")
		return
	}
	if !isWhole(n.Value) {
		r.on(path, Problem{Code: codeType, Summary: fmt.Sprintf("%s: %s is not a plain whole number", path, n.Value), Fix: "write it with the digits 0 to 9, without a leading 0"})
		return
	}
	signed, err := strconv.ParseInt(n.Value, 10, 64)
	if err == nil && v.CanInt() && !v.OverflowInt(signed) {
		v.SetInt(signed)
		return
	}
	unsigned, err := strconv.ParseUint(n.Value, 10, 64)
	if err == nil && v.CanUint() && !v.OverflowUint(unsigned) {
		v.SetUint(unsigned)
		return
	}
	r.on(path, Problem{Code: codeRange, Summary: fmt.Sprintf("%s: %s is out of range", path, n.Value)})
}

// isWhole leaves out what YAML also takes for integers: 0x0A, 0o7, 010 and 1_000.
func isWhole(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	return strings.Trim(digits, "0123456789") == "" && (digits == "0" || !strings.HasPrefix(digits, "0"))
}

func (r *reader) decimal(n *yaml.Node, v reflect.Value, path string) {
	x, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" || err != nil {
		r.wrong(n, path, aNumber, "")
		return
	}
	v.SetFloat(x)
}

// literalSecret recognises texts that are or contain a secret, whatever key they stand under.
func literalSecret(text string) bool {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return true
	}
	return regexp.MustCompile(`://[^/@\s:]+:[^/@\s]+@`).MatchString(text) ||
		regexp.MustCompile(`(?i)(password|passwd|secret|accountkey|sharedaccesskey)\s*=\s*[^\s;]+`).MatchString(text)
}

// asName turns a text into the name that was probably meant; empty when there is none.
func asName(text string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r == ' ' || r == '/' || r == ':':
			return '-'
		}
		return -1
	}, strings.ToLower(text))
	s = strings.Trim(s, "-_.")
	if NameProblem(s) != "" {
		return ""
	}
	return s
}

// short cuts a text for a message.
func short(text string) string {
	r := []rune(text)
	if len(r) <= 60 {
		return text
	}
	return string(r[:59]) + "…"
}
