package spec

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Reference gives every key of every file as Markdown tables, from the same types that Parse fills.
func Reference(reg workload.Registry) string {
	var b strings.Builder
	table(&b, "A site", "", reflect.TypeFor[siteFile]())
	fmt.Fprintf(&b, "Beside its endpoints a cluster may have `%s: NAME`: %s.\n\n", provisionKey, provisionDoc)
	for _, k := range reg.Kinds() {
		for _, e := range k.EndpointKinds() {
			table(&b, fmt.Sprintf("`clusters.NAME.%s`", e.Key), "", reflect.TypeOf(e.New()).Elem())
		}
	}
	table(&b, "A plan", "", reflect.TypeFor[planFile]())
	fmt.Fprintf(&b, "Hooks run at these stages: %s.\n\n", allOf(texts(HookStages())))
	table(&b, "A workload", "", reflect.TypeFor[workloadFile]())
	for _, k := range reg.Kinds() {
		fmt.Fprintf(&b, "### kind: %s\n\n%s\n\n| architecture | engines | |\n|---|---|---|\n", k.Name, k.Doc)
		for _, o := range k.Offers {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", o.Architecture, strings.Join(texts(o.Engines), ", "), o.Doc)
		}
		b.WriteString("\n")
		table(&b, "", "", reflect.TypeOf(k.NewConfig()).Elem())
	}
	table(&b, "The configuration of serve", "", reflect.TypeFor[Serve]())
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// table lists the keys of a struct and of the structs below it, each by its path.
func table(b *strings.Builder, title, prefix string, t reflect.Type) {
	if title != "" {
		fmt.Fprintf(b, "### %s\n\n", title)
	}
	b.WriteString("| key | value | |\n|---|---|---|\n")
	rows(b, prefix, t)
	b.WriteString("\n")
}

func rows(b *strings.Builder, prefix string, t reflect.Type) {
	for _, f := range fieldsOf(t) {
		if f.typ == reflect.TypeFor[notYet]() {
			continue
		}
		text := f.doc
		switch {
		case f.preset != "":
			text += " (default: `" + f.preset + "`)"
		case f.required:
			text += " (required)"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, f.name, valueName(f.typ, f.enum), strings.TrimSpace(text))
		inner, under := below(f.typ)
		if inner != nil {
			rows(b, prefix+f.name+under+".", inner)
		}
	}
}

// below gives the struct that a value is made of, and how its path goes on; nil when there is none.
func below(t reflect.Type) (reflect.Type, string) {
	under := ""
	for {
		switch t.Kind() {
		case reflect.Pointer:
			t = t.Elem()
		case reflect.Slice:
			t, under = t.Elem(), under+"[]"
		case reflect.Map:
			t, under = t.Elem(), under+".NAME"
		case reflect.Struct:
			if len(fieldsOf(t)) == 0 || t == reflect.TypeFor[workloadFile]() {
				return nil, ""
			}
			return t, under
		default:
			return nil, ""
		}
	}
}

func valueName(t reflect.Type, enum []string) string {
	if len(enum) > 0 && t.Kind() == reflect.String {
		return "`" + strings.Join(enum, "`, `") + "`"
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[understudy.Size]():
		return "size"
	case reflect.TypeFor[understudy.Pattern]():
		return "pattern"
	case reflect.TypeFor[understudy.SecretName]():
		return "name of a secret"
	case reflect.TypeFor[understudy.HookName]():
		return "name of a hook"
	case reflect.TypeFor[understudy.ProvisionerName]():
		return "name of a provisioner"
	case reflect.TypeFor[workload.Schedule]():
		return "schedule"
	case reflect.TypeFor[Etcd]():
		return "`embedded`, or a mapping"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueName(t.Elem(), enum)
	case reflect.Slice:
		return "list: " + valueName(t.Elem(), enum)
	case reflect.Map:
		return "by name: " + valueName(t.Elem(), enum)
	case reflect.Struct:
		return "mapping"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		if isName(reflect.Zero(t).Interface()) {
			return "name"
		}
		return "text"
	default:
		if _, own := textual(reflect.New(t).Elem()); own {
			return "text"
		}
		return "number"
	}
}
