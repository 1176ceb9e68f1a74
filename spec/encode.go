package spec

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/understudy-dr/understudy"
)

// tree is a value in its one canonical form: a scalar, a list or an ordered mapping.
type tree struct {
	// scalar is the value's text; quoted says that YAML must not take it for a number or the like.
	scalar string
	quoted bool
	list   []tree
	keys   []string
	values []tree
	shape  shape
}

type shape int

const (
	scalarShape shape = iota
	listShape
	mapShape
)

func text(s string) tree { return tree{scalar: s, quoted: true} }

func (t *tree) set(key string, v tree) {
	t.shape = mapShape
	t.keys, t.values = append(t.keys, key), append(t.values, v)
}

// tree gives the document in canonical form.
func (d *document) tree() tree {
	if d.site != nil {
		t := structTree(reflect.ValueOf(*d.site), reflect.Value{}, "clusters")
		clusters := tree{shape: mapShape}
		for _, name := range slices.Sorted(maps.Keys(d.site.Clusters)) {
			c := tree{shape: mapShape}
			endpoints := d.site.Clusters[name].endpoints
			for _, key := range slices.Sorted(maps.Keys(endpoints)) {
				e := reflect.ValueOf(endpoints[key])
				c.set(key, structTree(e.Elem(), d.defaults(key).Elem(), ""))
			}
			if by := d.site.Clusters[name].provisioner; by != "" {
				c.set(provisionKey, text(string(by)))
			}
			clusters.set(string(name), c)
		}
		t.set("clusters", clusters)
		return t
	}
	t := structTree(reflect.ValueOf(*d.plan), reflect.Value{}, "workloads")
	all := tree{shape: listShape}
	for _, w := range d.plan.Workloads {
		one := structTree(reflect.ValueOf(*w), reflect.Value{}, "")
		if w.config != nil {
			own := structTree(reflect.ValueOf(w.config).Elem(), reflect.ValueOf(w.kind.NewConfig()).Elem(), "")
			one.keys, one.values = append(one.keys, own.keys...), append(one.values, own.values...)
		}
		all.list = append(all.list, one)
	}
	t.set("workloads", all)
	return t
}

// structTree gives a struct's keys in their order, without the optional ones that are neither set nor preset: an
// optional value that differs from its preset is always written, also when it is false, 0 or empty.
func structTree(v, preset reflect.Value, skip string) tree {
	t := tree{shape: mapShape}
	for _, f := range fieldsOf(v.Type()) {
		x, p := v.Field(f.index), reflect.Value{}
		if preset.IsValid() {
			p = preset.Field(f.index)
		}
		if f.name == skip || !f.required && absent(x) && (!p.IsValid() || absent(p)) {
			continue
		}
		if x.Kind() == reflect.Struct && len(fieldsOf(x.Type())) > 0 {
			t.set(f.name, structTree(x, p, ""))
			continue
		}
		t.set(f.name, treeOf(x))
	}
	return t
}

func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

func treeOf(v reflect.Value) tree {
	switch x := v.Interface().(type) {
	case time.Duration:
		return text(FormatDuration(x))
	case understudy.Size:
		return text(x.String())
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err == nil {
			return text(string(b))
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return tree{shape: mapShape}
		}
		return treeOf(v.Elem())
	case reflect.Struct:
		return structTree(v, reflect.Value{}, "")
	case reflect.Slice:
		t := tree{shape: listShape}
		for i := range v.Len() {
			t.list = append(t.list, treeOf(v.Index(i)))
		}
		return t
	case reflect.Map:
		t := tree{shape: mapShape}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			t.set(k.String(), treeOf(v.MapIndex(k)))
		}
		return t
	case reflect.String:
		return text(v.String())
	default:
		return tree{scalar: fmt.Sprint(v.Interface())}
	}
}

// yaml gives the tree as a YAML document, without a marker.
func (t tree) yaml() string {
	var b strings.Builder
	t.write(&b, 0)
	return b.String()
}

func (t tree) write(b *strings.Builder, indent int) {
	pad := strings.Repeat("  ", indent)
	for i, key := range t.keys {
		v := t.values[i]
		b.WriteString(pad + quote(key) + ":")
		v.under(b, indent)
	}
	for _, v := range t.list {
		if v.shape == mapShape && len(v.keys) > 0 {
			var inner strings.Builder
			v.write(&inner, indent+1)
			b.WriteString(pad + "- " + strings.TrimPrefix(inner.String(), pad+"  "))
			continue
		}
		b.WriteString(pad + "-")
		v.under(b, indent)
	}
}

// under writes a value after its key or dash.
func (t tree) under(b *strings.Builder, indent int) {
	switch {
	case t.shape == scalarShape:
		b.WriteString(" " + t.inline() + "\n")
	case t.shape == listShape && t.flat():
		items := make([]string, len(t.list))
		for i, v := range t.list {
			items[i] = v.inline()
		}
		b.WriteString(" [" + strings.Join(items, ", ") + "]\n")
	case t.shape == mapShape && len(t.keys) == 0:
		b.WriteString(" {}\n")
	default:
		b.WriteString("\n")
		t.write(b, indent+1)
	}
}

// flat says that a list has scalars only.
func (t tree) flat() bool {
	return !slices.ContainsFunc(t.list, func(v tree) bool { return v.shape != scalarShape })
}

func (t tree) inline() string {
	if t.quoted {
		return quote(t.scalar)
	}
	return t.scalar
}

// quote writes text plainly where YAML reads it back as the same text, and quoted everywhere else.
func quote(s string) string {
	plain := regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*(:[0-9]+)?$|^[0-9]+(ms|s|m|h|B|kB|[KMGT]i?B)$`)
	reserved := regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n|nan|inf)$`)
	if plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\'' || r > '~' }) {
		return "'" + s + "'"
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == ' ' || r < utf8.RuneSelf && unicode.IsPrint(r) || unicode.IsLetter(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return `"` + b.String() + `"`
}

func jsonText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
