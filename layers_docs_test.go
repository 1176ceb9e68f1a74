package understudy_test

import (
	"go/ast"
	"go/token"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkFolders refuses names that say nothing, of folders and of packages.
func checkFolders(t *tree) {
	for _, folder := range t.folders {
		if slices.Contains(forbiddenNames(), path.Base(folder)) {
			t.found = append(t.found, finding{rule: "names", file: folder, text: "this name does not say what the folder provides"})
		}
	}
	for _, s := range t.sources {
		name := s.syntax.Name.Name
		if slices.Contains(forbiddenNames(), name) && path.Base(s.folder) != name {
			t.report("names", s.syntax.Package, "package name %s does not say what the package provides", name)
		}
	}
}

// checkPackageDocs wants two sentences for each package: what it is for, and what it must not know.
func checkPackageDocs(t *tree) {
	docs := map[string]string{}
	first := map[string]*source{}
	onlyTests := map[string]bool{}
	for _, s := range t.sources {
		if _, seen := first[s.folder]; !seen || onlyTests[s.folder] && !s.test {
			first[s.folder], onlyTests[s.folder] = s, s.test
		}
	}
	for _, s := range t.sources {
		if (!s.test || onlyTests[s.folder]) && s.syntax.Doc != nil {
			docs[s.folder] += s.syntax.Doc.Text()
		}
	}
	for folder, s := range first {
		if n := sentences(docs[folder]); n < 2 {
			t.report("package-doc", s.syntax.Package, "package %s has a doc of %d sentences; it needs two", folder, n)
		}
	}
}

// sentences counts the ends of sentences in a text.
func sentences(text string) int {
	return len(regexp.MustCompile(`[.!?:]["')\]]*(\s|$)`).FindAllString(text, -1))
}

// checkExportedDocs wants a comment on everything another package can name.
func checkExportedDocs(t *tree) {
	for _, s := range t.handWritten() {
		if s.test || s.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range s.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				t.checkFuncDoc(d)
			case *ast.GenDecl:
				t.checkDeclDocs(d)
			}
		}
	}
}

// checkFuncDoc looks at functions, and at methods of exported types.
func (t *tree) checkFuncDoc(d *ast.FuncDecl) {
	if !d.Name.IsExported() || d.Doc != nil {
		return
	}
	if d.Recv != nil && !ast.IsExported(receiver(d.Recv.List[0].Type)) {
		return
	}
	t.report("exported-doc", d.Pos(), "%s has no comment", d.Name.Name)
}

// receiver gives the name of a receiver's type.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.IndexListExpr:
		return receiver(x.X)
	}
	return ""
}

// checkDeclDocs looks at types, constants and variables. A comment on a group of constants or variables covers the group.
func (t *tree) checkDeclDocs(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			t.checkTypeDoc(d, spec)
		case *ast.ValueSpec:
			exported := slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.IsExported() })
			if exported && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				t.report("exported-doc", spec.Pos(), "%s has no comment", spec.Names[0].Name)
			}
		}
	}
}

// checkTypeDoc looks at one type, and at the methods that an exported interface asks for.
func (t *tree) checkTypeDoc(d *ast.GenDecl, spec *ast.TypeSpec) {
	if !spec.Name.IsExported() {
		return
	}
	covered := spec.Doc != nil || spec.Comment != nil || d.Doc != nil && d.Lparen == token.NoPos
	if !covered {
		t.report("exported-doc", spec.Pos(), "%s has no comment", spec.Name.Name)
	}
	contract, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return
	}
	for _, m := range contract.Methods.List {
		if len(m.Names) > 0 && m.Names[0].IsExported() && m.Doc == nil && m.Comment == nil {
			t.report("exported-doc", m.Pos(), "%s.%s has no comment", spec.Name.Name, m.Names[0].Name)
		}
	}
}

// waiver is how a linter is told to look away; its reason follows the second pair of slashes.
func waiver() *regexp.Regexp {
	return regexp.MustCompile(`^//\s*(nolint|lint:ignore|lint:file-ignore|revive:disable)`)
}

// checkWaivers wants a sentence for each waiver, and few of them.
func checkWaivers(t *tree) {
	count := 0
	for _, s := range t.sources {
		for c := range comments(s) {
			if waiver().MatchString(c.Text) {
				count++
				t.checkWaiver(c, count)
			}
		}
	}
}

// comments gives the single comments of a file, in order.
func comments(s *source) iter.Seq[*ast.Comment] {
	var all []*ast.Comment
	for _, group := range s.syntax.Comments {
		all = append(all, group.List...)
	}
	return slices.Values(all)
}

// checkWaiver judges the n-th waiver of the tree.
func (t *tree) checkWaiver(c *ast.Comment, n int) {
	head, reason, _ := strings.Cut(strings.TrimPrefix(c.Text, "//"), "//")
	if !strings.Contains(head, ":") || len(strings.Fields(reason)) < 4 || !strings.HasSuffix(strings.TrimSpace(reason), ".") {
		t.report("waiver", c.Pos(), "a waiver names its linter and gives its reason in a sentence: //nolint:name // Because ….")
	}
	if n > maxWaivers {
		t.report("waiver", c.Pos(), "this is waiver %d; %d are allowed", n, maxWaivers)
	}
}
