package spec

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// resolved reads a schema as an editor would.
func resolved(t *testing.T, b []byte, err error) *jsonschema.Resolved {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plainDocuments reads a sample without any of this package's rules.
func plainDocuments(t *testing.T, path string) []any {
	t.Helper()
	var all []any
	d := yaml.NewDecoder(strings.NewReader(string(source(t, path).Text)))
	for {
		var doc any
		if err := d.Decode(&doc); err != nil {
			return all
		}
		all = append(all, doc)
	}
}

func TestSchemaGolden(t *testing.T) {
	b, err := Schema(toys())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", string(b)+"\n")
	b, err = ServeSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema-serve.json", string(b)+"\n")
}

func TestSchemaAcceptsGoodSamples(t *testing.T) {
	b, err := Schema(toys())
	documents := resolved(t, b, err)
	b, err = ServeSchema()
	serve := resolved(t, b, err)
	for _, path := range samples(t, "good") {
		r := documents
		if strings.HasPrefix(filepath.Base(path), "serve-") {
			r = serve
		}
		for _, doc := range plainDocuments(t, path) {
			if err := r.Validate(doc); err != nil {
				t.Errorf("%s: the schema refuses it: %v", path, err)
			}
		}
	}
}

func TestReferenceGolden(t *testing.T) {
	golden(t, "testdata/reference.md", Reference(toys()))
}

// TestSchemaRefusesBadShapes shows that an editor marks what Parse refuses for its shape. What depends on other
// documents only Parse can see.
func TestSchemaRefusesBadShapes(t *testing.T) {
	b, err := Schema(toys())
	documents := resolved(t, b, err)
	b, err = ServeSchema()
	serve := resolved(t, b, err)
	for _, prefix := range []string{"key-unknown", "missing-", "type-", "value-", "name-", "duration-number", "size-", "kind-unknown", "offer-architecture", "hook-", "approvals-", "serve-tcp", "serve-unknown", "serve-journal", "links-not"} {
		names, _ := filepath.Glob("testdata/bad/" + prefix + "*.yaml")
		for _, path := range names {
			r := documents
			if strings.HasPrefix(prefix, "serve-") {
				r = serve
			}
			refused := path == "testdata/bad/type-octal.yaml" // a number to YAML
			for _, doc := range plainDocuments(t, path) {
				refused = refused || r.Validate(doc) != nil
			}
			if !refused {
				t.Errorf("%s: the schema accepts it", path)
			}
		}
	}
}
