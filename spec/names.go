package spec

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
)

// Use is one place where a document names a secret or a hook.
type Use struct {
	Document Ref `json:"document"`
	// Path is the place within the document.
	Path string `json:"path"`
	Name string `json:"name"`
}

// SecretUses lists where the sites name secrets, by document and path.
func (s Set) SecretUses() []Use {
	var uses []Use
	for _, d := range s.docs {
		if d.site == nil {
			continue
		}
		for name, c := range d.site.Clusters {
			for key, e := range c.endpoints {
				secretsIn(reflect.ValueOf(e), join(join("clusters", string(name)), key), "", func(path, secret string) {
					uses = append(uses, Use{Document: d.ref, Path: path, Name: secret})
				})
			}
		}
	}
	return orderUses(uses)
}

// HookUses lists where the plans name hooks, by document and path.
func (s Set) HookUses() []Use {
	var uses []Use
	for _, p := range s.Plans {
		for stage, hook := range p.Hooks {
			uses = append(uses, Use{Document: Ref{"plan", string(p.Name)}, Path: join("hooks", string(stage)), Name: string(hook)})
		}
	}
	return orderUses(uses)
}

// ProvisionerUses lists where the sites name provisioners, by document and path.
func (s Set) ProvisionerUses() []Use {
	var uses []Use
	for _, site := range s.Sites {
		for _, c := range site.Clusters {
			if c.Provisioner != "" {
				uses = append(uses, Use{Document: Ref{"site", string(site.Name)}, Path: join(join("clusters", string(c.Name)), provisionKey), Name: string(c.Provisioner)})
			}
		}
	}
	return orderUses(uses)
}

func orderUses(uses []Use) []Use {
	slices.SortFunc(uses, func(a, b Use) int {
		return cmp.Or(strings.Compare(a.Document.String(), b.Document.String()), strings.Compare(a.Path, b.Path))
	})
	return uses
}

// secretsIn finds the names of secrets in a kind's value: fields of type SecretName, and texts under the key secret.
func secretsIn(v reflect.Value, path, key string, found func(path, name string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			secretsIn(v.Elem(), path, key, found)
		}
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			secretsIn(v.Field(f.index), join(path, f.name), f.name, found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			secretsIn(v.Index(i), fmt.Sprintf("%s[%d]", path, i), key, found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			secretsIn(v.MapIndex(k), join(path, k.String()), k.String(), found)
		}
	case reflect.String:
		if is := v.Type() == reflect.TypeFor[understudy.SecretName]() || key == "secret"; is && v.String() != "" {
			found(path, v.String())
		}
	}
}

// Check says which secrets, hooks and provisioners of the set this configuration does not know. The error is Problems, each at its
// place in the set's files.
func (s Serve) Check(set Set) error {
	var problems Problems
	hooks := texts(slices.Sorted(maps.Keys(s.Hooks)))
	for _, u := range set.SecretUses() {
		if !slices.Contains(s.Secrets.Names(), u.Name) {
			set.on(&problems, u, Problem{Code: codeSecretName, Summary: fmt.Sprintf("serve knows no secret called %q", u.Name),
				Suggestion: nearest(u.Name, s.Secrets.Names()), Fix: "add it under `secrets:` in serve's configuration"})
		}
	}
	for _, u := range set.HookUses() {
		if !slices.Contains(hooks, u.Name) {
			set.on(&problems, u, Problem{Code: codeHookName, Summary: fmt.Sprintf("serve knows no hook called %q", u.Name),
				Suggestion: nearest(u.Name, hooks), Fix: "add its command under `hooks:` in serve's configuration"})
		}
	}
	makers := append(texts(slices.Sorted(maps.Keys(s.Provisioners))), string(provision.Static))
	for _, u := range set.ProvisionerUses() {
		if !slices.Contains(makers, u.Name) {
			set.on(&problems, u, Problem{Code: codeProvisioner, Summary: fmt.Sprintf("serve knows no provisioner called %q", u.Name),
				Suggestion: nearest(u.Name, makers), Fix: "add its command under `provisioners:` in serve's configuration"})
		}
	}
	return problems.sorted()
}

// on reports a problem at a use.
func (s Set) on(problems *Problems, u Use, p Problem) {
	for _, d := range s.docs {
		if d.ref == u.Document {
			d.again(problems).reader.on(u.Path, p)
		}
	}
}
