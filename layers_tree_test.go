package understudy_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// finding is one breach of the law, at a place.
type finding struct {
	rule, file string
	line       int
	text       string
}

// String gives the finding as a compiler would: place, text, rule.
func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", f.file, f.line, f.text, f.rule)
}

// source is one Go file, read but not type-checked.
type source struct {
	path, folder string
	syntax       *ast.File
	lines        int
	// test is true for _test.go files; generated for those that a program wrote.
	test, generated bool
	// imports maps the name a package has in this file to its import path.
	imports map[string]string
}

// tree is everything the rules look at.
type tree struct {
	fset    *token.FileSet
	sources []*source
	folders []string
	found   []finding
}

// checkTree reads the Go files of a module and gives every breach of the law, sorted by place.
// It needs no build: files that do not parse are an error, types are never looked at.
func checkTree(fsys fs.FS) ([]finding, error) {
	t := &tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return t.enter(fsys, name)
		}
		if strings.HasSuffix(name, ".go") {
			return t.read(fsys, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, rule := range []func(*tree){
		checkImports, checkFolders, checkPackageDocs, checkExportedDocs, checkInit, checkSizes, checkNesting,
		checkInterfaces, checkSleep, checkVariables, checkAssignments, checkPurity, checkWaivers,
	} {
		rule(t)
	}
	slices.SortStableFunc(t.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	return t.found, nil
}

// enter decides about one folder: hidden ones, test data and other modules are not ours to judge.
func (t *tree) enter(fsys fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	t.folders = append(t.folders, name)
	return nil
}

// read parses one Go file.
func (t *tree) read(fsys fs.FS, name string) error {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s := &source{
		path: name, folder: path.Dir(name), syntax: syntax,
		lines:     bytes.Count(text, []byte("\n")),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		imports:   map[string]string{},
	}
	for _, spec := range syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		s.imports[importName(spec, target)] = target
	}
	t.sources = append(t.sources, s)
	return nil
}

// importName gives the name of an import in its file: the given one, or the last element of the path that is not a version.
func importName(spec *ast.ImportSpec, target string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	base := path.Base(target)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(target))
	}
	return base
}

// report adds a finding at a position.
func (t *tree) report(rule string, at token.Pos, format string, args ...any) {
	p := t.fset.Position(at)
	t.found = append(t.found, finding{rule: rule, file: p.Filename, line: p.Line, text: fmt.Sprintf(format, args...)})
}

// handWritten gives the files that a person wrote.
func (t *tree) handWritten() []*source {
	return slices.DeleteFunc(slices.Clone(t.sources), func(s *source) bool { return s.generated })
}

// suite says whether a folder holds a conformance suite: test code that other packages import.
func suite(folder string) bool { return strings.HasSuffix(path.Base(folder), "test") }

// with gives a list and more.
func with(list []string, more ...string) []string { return append(slices.Clone(list), more...) }
