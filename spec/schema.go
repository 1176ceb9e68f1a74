package spec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// draft is the JSON Schema version that editors understand best.
const draft = "http://json-schema.org/draft-07/schema#"

// namePattern is what NameProblem accepts, for editors.
const namePattern = `^[a-z0-9][a-z0-9._-]{0,62}$`

// Schema gives the JSON schema (draft-07) of one document of sites and plans, with the keys of every kind of the
// registry. Editors take it from a first line such as
//
//	# yaml-language-server: $schema=understudy.schema.json
//
// It is for help while typing; Parse alone decides what is valid.
func Schema(reg workload.Registry) ([]byte, error) {
	site := object(reflect.TypeFor[siteFile](), nil)
	site.Properties["clusters"] = clustersSchema(reg)
	plan := object(reflect.TypeFor[planFile](), nil)
	plan.Properties["workloads"] = &jsonschema.Schema{Type: "array", Items: workloadSchema(reg), MinItems: one(), Description: plan.Properties["workloads"].Description}
	stages := map[string]*jsonschema.Schema{}
	for _, s := range HookStages() {
		stages[string(s)] = &jsonschema.Schema{Type: "string", Pattern: namePattern}
	}
	hooks := plan.Properties["hooks"]
	hooks.Properties, hooks.AdditionalProperties, hooks.PropertyOrder = stages, nothing(), texts(HookStages())
	return indented(&jsonschema.Schema{
		Schema: draft, Title: "understudy: a site or a plan", Type: "object",
		If: &jsonschema.Schema{Required: []string{"site"}}, Then: site, Else: plan,
	})
}

// ServeSchema gives the JSON schema (draft-07) of serve's own configuration.
func ServeSchema() ([]byte, error) {
	s := object(reflect.TypeFor[Serve](), nil)
	s.Schema, s.Title = draft, "understudy: the configuration of serve"
	return indented(s)
}

func indented(s *jsonschema.Schema) ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return b, nil
}

func nothing() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

func one() *int { n := 1; return &n }

func clustersSchema(reg workload.Registry) *jsonschema.Schema {
	endpoints := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: nothing()}
	for _, k := range reg.Kinds() {
		for _, e := range k.EndpointKinds() {
			if endpoints.Properties[e.Key] == nil {
				endpoints.PropertyOrder = append(endpoints.PropertyOrder, e.Key)
			}
			endpoints.Properties[e.Key] = object(reflect.TypeOf(e.New()).Elem(), nil)
		}
	}
	endpoints.Properties[provisionKey] = &jsonschema.Schema{Type: "string", Pattern: namePattern, Description: provisionDoc}
	endpoints.PropertyOrder = append(endpoints.PropertyOrder, provisionKey)
	return &jsonschema.Schema{
		Type: "object", Description: "the site's clusters, each under the name it has at every site",
		PropertyNames: &jsonschema.Schema{Pattern: namePattern}, AdditionalProperties: endpoints,
	}
}

// workloadSchema lets the kind decide which other keys there are.
func workloadSchema(reg workload.Registry) *jsonschema.Schema {
	var kinds []any
	out := &jsonschema.Schema{Type: "object", Required: []string{"name", "kind"}}
	for _, k := range reg.Kinds() {
		kinds = append(kinds, string(k.Name))
		own := object(reflect.TypeFor[workloadFile](), reflect.TypeOf(k.NewConfig()).Elem())
		own.Description = k.Doc
		architectures, engines := offered(k)
		own.Properties["architecture"].Enum, own.Properties["engine"].Enum = architectures, engines
		if !k.ExplicitLinks {
			delete(own.Properties, "links")
			own.PropertyOrder = slices.DeleteFunc(own.PropertyOrder, func(s string) bool { return s == "links" })
		}
		name := any(string(k.Name))
		own.Properties["kind"] = &jsonschema.Schema{Const: &name}
		is := &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{"kind": {Const: &name}}, Required: []string{"kind"}}
		out.AllOf = append(out.AllOf, &jsonschema.Schema{If: is, Then: own})
	}
	out.Properties = map[string]*jsonschema.Schema{"kind": {Enum: kinds, Description: "what is protected"}}
	return out
}

// offered lists a kind's architectures and all engines of these.
func offered(k workload.Kind) (architectures, engines []any) {
	for _, o := range k.Offers {
		architectures = append(architectures, string(o.Architecture))
		for _, e := range o.Engines {
			if !slices.Contains(engines, any(string(e))) {
				engines = append(engines, string(e))
			}
		}
	}
	return architectures, engines
}

// object gives the schema of a struct, and of a second one that shares its mapping.
func object(t, beside reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: nothing()}
	fields := fieldsOf(t)
	if beside != nil {
		fields = append(fields, fieldsOf(beside)...)
	}
	for _, f := range fields {
		if f.typ == reflect.TypeFor[notYet]() {
			continue
		}
		v := valueSchema(f.typ, f.enum)
		v.Description = f.doc
		if f.preset != "" {
			v.Default = json.RawMessage(jsonText(f.preset))
		}
		s.Properties[f.name] = v
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

func valueSchema(t reflect.Type, enum []string) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+d|([0-9.]+(ns|us|ms|s|m|h))+)$`}
	case reflect.TypeFor[understudy.Size]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]+ ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$`}
	case reflect.TypeFor[understudy.Pattern]():
		return &jsonschema.Schema{Type: "string", Format: "regex"}
	case reflect.TypeFor[understudy.SecretName]():
		return &jsonschema.Schema{Type: "string", Pattern: namePattern}
	case reflect.TypeFor[Etcd]():
		embedded := any("embedded")
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Const: &embedded}, object(t, nil)}}
	}
	if _, own := textual(reflect.New(t).Elem()); own {
		return &jsonschema.Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueSchema(t.Elem(), enum)
	case reflect.Struct:
		return object(t, nil)
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: valueSchema(t.Elem(), enum)}
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: valueSchema(t.Elem(), enum)}
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	case reflect.String:
		return wordSchema(t, enum)
	default:
		return &jsonschema.Schema{Type: "integer"}
	}
}

func wordSchema(t reflect.Type, enum []string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, e := range enum {
		s.Enum = append(s.Enum, e)
	}
	if isName(reflect.Zero(t).Interface()) {
		s.Pattern = namePattern
	}
	return s
}
