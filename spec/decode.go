package spec

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-dr/understudy"
)

// field is one key of a struct, as its tags describe it.
type field struct {
	name     string
	index    int
	required bool
	doc      string
	preset   string
	enum     []string
	typ      reflect.Type
}

// fieldsOf lists the keys of a struct type in their order. Fields without a yaml tag are not part of files.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		optional := strings.Contains(options, "omitempty") || f.Type.Kind() == reflect.Pointer
		one := field{name: name, index: i, required: !optional, doc: f.Tag.Get("doc"), preset: f.Tag.Get("default"), typ: f.Type}
		if e := f.Tag.Get("enum"); e != "" {
			one.enum = strings.Split(e, ",")
		}
		all = append(all, one)
	}
	return all
}

// union is a value with more than one shape; it reads itself.
type union interface {
	read(r *reader, n *yaml.Node, path string)
}

// entry is one key with its value in a mapping.
type entry struct {
	name string
	key  place
	node *yaml.Node
}

// entries lists a mapping's keys; false when the node is no mapping. Duplicate keys are reported and left out.
func (r *reader) entries(n *yaml.Node, path string) ([]entry, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	var all []entry
	seen := map[string]place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := r.placeOf(n.Content[i])
		name, ok := r.keyText(n.Content[i], at, path)
		if !ok {
			continue
		}
		if first, twice := seen[name]; twice {
			r.at(at, join(path, name), Problem{Code: codeDuplicateKey, Summary: fmt.Sprintf("key %q is there twice", name),
				Why: fmt.Sprintf("it already stands on line %d; only one of the two could be meant", first.line), Fix: "remove one of them"})
			continue
		}
		seen[name] = at
		all = append(all, entry{name: name, key: at, node: n.Content[i+1]})
	}
	return all, true
}

func (r *reader) keyText(n *yaml.Node, at place, path string) (string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		r.anchor(at, path, "a merge key (<<)")
	case !r.plain(n, path):
	case n.Kind != yaml.ScalarNode:
		r.at(at, path, Problem{Code: codeType, Summary: "a key must be plain text", Fix: "write one word before the colon"})
	default:
		return n.Value, true
	}
	return "", false
}

func (r *reader) anchor(at place, path, what string) {
	r.at(at, path, Problem{Code: codeAnchor, Summary: what + " is not part of these files",
		Why: "what a plan says must be readable where it stands, and in a diff of it", Fix: "write the value out"})
}

// plain refuses anchors, aliases and tags; the others pass.
func (r *reader) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Anchor != "":
		r.anchor(r.placeOf(n), path, "an anchor (&)")
	case n.Kind == yaml.AliasNode:
		r.anchor(r.placeOf(n), path, "an alias (*)")
	case n.Style&yaml.TaggedStyle != 0:
		r.anchor(r.placeOf(n), path, "a tag (!)")
	default:
		return true
	}
	return false
}

// value fills v, which is settable, from the node.
func (r *reader) value(n *yaml.Node, v reflect.Value, path string, f field) {
	if _, known := r.values[path]; !known {
		r.values[path] = r.placeOf(n)
	}
	if !r.plain(n, path) {
		return
	}
	if isNull(n) {
		r.onKey(path, Problem{Code: codeNull, Summary: path + " has no value", Fix: "write a value, or remove the key"})
		return
	}
	if u, ok := v.Addr().Interface().(union); ok {
		u.read(r, n, path)
		return
	}
	if done := r.scalar(n, v, path, f); done {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), path, f)
	case reflect.Struct:
		r.structs(n, path, nil, v)
	case reflect.Slice:
		r.list(n, v, path, f)
	case reflect.Map:
		r.mapping(n, v, path, f)
	default:
		r.on(path, Problem{Code: "US001", Summary: fmt.Sprintf("%s: the kind has a configuration of type %s, which files cannot hold", path, v.Type())})
	}
}

// structs fills one or more structs, which share a mapping, and reports unknown and missing keys. Keys for which
// skip says true are left to the caller.
func (r *reader) structs(n *yaml.Node, path string, skip func(string) bool, targets ...reflect.Value) {
	entries, ok := r.entries(n, path)
	if !ok {
		r.wrong(n, path, aMapping, "")
		return
	}
	var names []string
	present, meant := map[string]bool{}, map[string]bool{}
	for _, t := range targets {
		for _, f := range fieldsOf(t.Type()) {
			names = append(names, f.name)
		}
	}
	for _, e := range entries {
		p := join(path, e.name)
		present[e.name] = true
		r.keys[p] = e.key
		if skip != nil && skip(e.name) {
			r.values[p] = r.placeOf(e.node)
			continue
		}
		if !r.known(e, p, targets) {
			meant[r.unknown(e, path, names)] = true
		}
	}
	for _, t := range targets {
		for _, f := range fieldsOf(t.Type()) {
			if f.required && !present[f.name] {
				r.missing(path, f, meant[f.name])
			}
		}
	}
}

func (r *reader) known(e entry, path string, targets []reflect.Value) bool {
	for _, t := range targets {
		for _, f := range fieldsOf(t.Type()) {
			if f.name == e.name {
				r.value(e.node, t.Field(f.index), path, f)
				return true
			}
		}
	}
	return false
}

// missing reports a key, unless it stands there misspelt.
func (r *reader) missing(path string, f field, misspelt bool) {
	if r.given[join(path, f.name)] {
		return
	}
	if misspelt {
		r.bad[join(path, f.name)] = true
		return
	}
	p := Problem{Code: codeMissing, Summary: fmt.Sprintf("%s is missing", join(path, f.name)), Why: f.doc}
	p.Fix = fmt.Sprintf("add `%s: %s`", f.name, sample(f))
	at := r.find(path)
	r.at(at, join(path, f.name), p)
}

// sample shows what a value of the field looks like.
func sample(f field) string {
	if len(f.enum) > 0 && f.typ.Kind() == reflect.String {
		return strings.Join(f.enum, " | ")
	}
	switch {
	case f.typ == reflect.TypeFor[time.Duration]():
		return "30s"
	case f.typ == reflect.TypeFor[understudy.Size]():
		return "64MiB"
	case f.typ.Kind() == reflect.Slice:
		return "[…]"
	case f.typ.Kind() == reflect.Map, f.typ.Kind() == reflect.Struct:
		return "{…}"
	default:
		return "…"
	}
}

// unknown reports a key, and gives the one that was probably meant.
func (r *reader) unknown(e entry, path string, names []string) string {
	p, meant := join(path, e.name), nearest(e.name, names)
	if soundsSecret(e.name) && meant == "" {
		r.secret(r.placeOf(e.node), p, fmt.Sprintf("%q sounds like a secret, and no key of that name exists; files hold names of secrets only", e.name))
		return ""
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	r.at(e.key, p, Problem{Code: codeUnknownKey, Summary: fmt.Sprintf("unknown key %q%s", e.name, where),
		Suggestion: meant, Fix: "the keys here are " + allOf(names)})
	return meant
}

func soundsSecret(key string) bool {
	k := strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(key))
	for _, s := range []string{"password", "passwd", "passphrase", "secretkey", "privatekey", "accesskey", "apikey", "saslkey", "jaas", "credential"} {
		if strings.Contains(k, s) {
			return true
		}
	}
	return k == "pass" || k == "token"
}

func (r *reader) list(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, path, aList, "["+strings.TrimSpace(nodeText(n))+"]")
		return
	}
	if len(n.Content) == 0 && f.required {
		r.on(path, Problem{Code: codeNull, Summary: path + " is an empty list", Fix: "name at least one"})
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), field{name: f.name, required: true, enum: f.enum, typ: v.Type().Elem()})
	}
	v.Set(out)
}

func (r *reader) mapping(n *yaml.Node, v reflect.Value, path string, f field) {
	entries, ok := r.entries(n, path)
	if !ok {
		r.wrong(n, path, nameMapping, "")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range entries {
		p := join(path, e.name)
		r.keys[p] = e.key
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(e.name)
		if why := NameProblem(e.name); why != "" && (isName(key.Interface()) || key.Type() == reflect.TypeFor[understudy.SecretName]()) {
			r.at(e.key, p, Problem{Code: codeName, Summary: fmt.Sprintf("%q is not a name", e.name), Why: why, Suggestion: asName(e.name)})
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		r.value(e.node, item, p, field{name: e.name, required: true, enum: f.enum, typ: v.Type().Elem()})
		if item.Kind() != reflect.Pointer || !item.IsNil() {
			v.SetMapIndex(key, item)
		}
	}
}

// form is what a value must look like, for people.
type form string

// The shapes of values.
const (
	aMapping    form = "a mapping of keys and values"
	aList       form = "a list"
	nameMapping form = "a mapping of names to values"
	aDocument   form = "a mapping that begins with `site:` or `plan:`"
	clusterList form = "a mapping of cluster names"
	entrances   form = "a mapping of endpoints"
	aText       form = "text"
	secretWord  form = "the name of a secret"
	trueOrFalse form = "true or false"
	wholeNumber form = "a whole number"
	aNumber     form = "a number"
)

// fix says how a value of the form is written.
func (s form) fix() string {
	switch s {
	case aMapping, nameMapping:
		return "write { key: value }, or each key on a line of its own, indented"
	case aList:
		return "write [ … ], or each item on a line of its own after a dash"
	case aDocument:
		return "begin it with `site: NAME` or `plan: NAME`"
	case clusterList:
		return "write a name for each cluster, and its endpoint below it: streaming: { kafka: { … } }"
	case entrances:
		return "write how the cluster is reached, such as kafka: { brokers: [broker-1:9092] }"
	case aText:
		return "write one value, in quotes if it looks like a number or like true and false"
	case secretWord:
		return "write a name; serve's configuration says what the secret is"
	case trueOrFalse:
		return "write true or false, without quotes"
	case wholeNumber:
		return "write it with digits alone, without quotes"
	case aNumber:
		return "write it in digits, without quotes"
	default:
		return ""
	}
}

// wrong reports a value of the wrong type.
func (r *reader) wrong(n *yaml.Node, path string, want form, suggestion string) {
	got := nodeKind(n)
	if path == "" {
		path = "the document"
	}
	if utf8.RuneCountInString(suggestion) > 60 {
		suggestion = ""
	}
	r.at(r.placeOf(n), path, Problem{Code: codeType, Summary: fmt.Sprintf("%s must be %s, not %s", path, want, got), Suggestion: suggestion, Fix: want.fix()})
}

func nodeKind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isText(n):
		return "text"
	case isNull(n):
		return "nothing"
	case n.Tag == "!!bool":
		return "true or false"
	default:
		return "a number"
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// isText says whether a scalar is text: quoted, or not readable as a number or the like. Dates are text.
func isText(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp" || n.Tag == "!!merge")
}

// nodeText is the text of a scalar; empty for everything else.
func nodeText(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// textual gives the type's own reading of text, if it has one.
func textual(v reflect.Value) (encoding.TextUnmarshaler, bool) {
	u, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return u, ok
}

// patternOf gives the pattern's own account of an error.
func patternOf(err error) (*understudy.PatternError, bool) {
	var pe *understudy.PatternError
	ok := errors.As(err, &pe)
	return pe, ok
}
