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
func (s Serve) Check(set Set) error { return s.CheckChange(Set{}, set) }

// CheckChange is Check of what the set names and the old one does not, at the same place: what is applied stays
// applied, also where serve's configuration lost a name since, and another site's addresses can be changed meanwhile.
func (s Serve) CheckChange(old, set Set) error {
	var problems Problems
	makers := append(texts(slices.Sorted(maps.Keys(s.Provisioners))), string(provision.Static))
	for _, c := range []struct {
		uses  func(Set) []Use
		known []string
		code  understudy.Code
		noun  string
		fix   string
	}{
		{Set.SecretUses, s.Secrets.Names(), codeSecretName, "secret", "add it under `secrets:` in serve's configuration"},
		{Set.HookUses, texts(slices.Sorted(maps.Keys(s.Hooks))), codeHookName, "hook", "add its command under `hooks:` in serve's configuration"},
		{Set.ProvisionerUses, makers, codeProvisioner, "provisioner", "add its command under `provisioners:` in serve's configuration"},
	} {
		before := c.uses(old)
		for _, u := range c.uses(set) {
			if slices.Contains(c.known, u.Name) || slices.Contains(before, u) {
				continue
			}
			set.on(&problems, u, Problem{Code: c.code, Document: u.Document, Summary: fmt.Sprintf("serve knows no %s called %q", c.noun, u.Name),
				Suggestion: nearest(u.Name, c.known), Fix: c.fix})
		}
	}
	return problems.sorted()
}

// At gives problems that were found in another text of the same documents at their places in this set's files. What
// stands in no document of the set stays as it is.
func (s Set) At(problems Problems) Problems {
	var out Problems
	for _, p := range problems {
		if !s.on(&out, Use{Document: p.Document, Path: p.Path}, *p) {
			out.add(p)
		}
	}
	_ = out.sorted() // in place
	return out
}

// on reports a problem at a use, and says whether the set has the document.
func (s Set) on(problems *Problems, u Use, p Problem) bool {
	for _, d := range s.docs {
		if d.ref == u.Document {
			d.again(problems).reader.on(u.Path, p)
			return true
		}
	}
	return false
}
