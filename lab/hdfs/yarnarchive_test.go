package hdfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestListsOfClassesAreMerged: numbers go, and so does what no archive can hold by its name alone.
func TestListsOfClassesAreMerged(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "all")
	for name, lines := range map[string]string{
		"1": "# a comment\njava/lang/Object id: 0\n@lambda-proxy a/A run\na/A id: 7\nx/Own id: 8 super: 0 source: /own\n",
		"2": "b/B id: 7\njava/lang/Object id: 0\n@lambda-proxy a/A run\na/A id: 9\nb/Cut",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := mergeLists(dir, to); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(to)
	if want := "a/A\nb/B\njava/lang/Object\n@lambda-proxy a/A run\n"; err != nil || string(b) != want {
		t.Errorf("got %q, %v; want %q", b, err, want)
	}
}
