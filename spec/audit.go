package spec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/understudy-dr/understudy/workload"
)

// Audit says what in the kinds of a registry files could not hold: keys that collide with the general ones or
// between two kinds' endpoints, types that have no form in a file, and configurations that are no struct. A kind
// with such a fault is refused by the tests of the program that lists it; for a sound registry nothing is returned.
func Audit(reg workload.Registry) []string {
	var faults []string
	endpoints := map[string]reflect.Type{}
	for _, k := range reg.Kinds() {
		name := "kind " + string(k.Name)
		if k.NewConfig == nil || k.NewEndpoint == nil || k.Endpoint == "" {
			faults = append(faults, name+": NewConfig, NewEndpoint and Endpoint are needed")
			continue
		}
		own := reflect.TypeOf(k.NewConfig())
		faults = append(faults, auditType(name, own, "")...)
		for _, e := range k.EndpointKinds() {
			faults = append(faults, auditEndpoint(name, e, endpoints)...)
		}
		if own.Kind() == reflect.Pointer && own.Elem().Kind() == reflect.Struct {
			faults = append(faults, collisions(name, own.Elem())...)
		}
	}
	return faults
}

func auditEndpoint(name string, e workload.EndpointKind, known map[string]reflect.Type) []string {
	if e.Key == "" || e.New == nil {
		return []string{name + ": each endpoint needs a key and what makes it"}
	}
	at := reflect.TypeOf(e.New())
	faults := auditType(name+", endpoint "+e.Key, at, "")
	if e.Key == provisionKey {
		faults = append(faults, name+": the endpoint cannot be called "+provisionKey)
	}
	if other, taken := known[e.Key]; taken && other != at {
		faults = append(faults, fmt.Sprintf("%s: the endpoint %q has another type in another kind", name, e.Key))
	}
	known[e.Key] = at
	return faults
}

func collisions(name string, own reflect.Type) []string {
	var faults []string
	general := fieldsOf(reflect.TypeFor[workloadFile]())
	for _, f := range fieldsOf(own) {
		if slices.ContainsFunc(general, func(g field) bool { return g.name == f.name }) {
			faults = append(faults, fmt.Sprintf("%s: the key %q is one that every workload has", name, f.name))
		}
	}
	return faults
}

// auditType walks a configuration, which is a pointer to a struct at its top.
func auditType(name string, t reflect.Type, path string) []string {
	if path == "" && (t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct) {
		return []string{fmt.Sprintf("%s: %s is not a pointer to a struct", name, t)}
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, reads := textual(reflect.New(t).Elem()); reads {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		var faults []string
		for _, f := range fieldsOf(t) {
			faults = append(faults, auditType(name, f.typ, join(path, f.name))...)
		}
		return faults
	case reflect.Slice:
		return auditType(name, t.Elem(), path+"[]")
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return auditType(name, t.Elem(), path+".NAME")
		}
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	}
	return []string{fmt.Sprintf("%s: %s is of type %s, which files cannot hold", name, path, t)}
}
