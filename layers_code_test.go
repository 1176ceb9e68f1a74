package understudy_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// checkInit refuses code that runs before main asks for it.
func checkInit(t *tree) {
	for _, s := range t.sources {
		for d := range functions(s) {
			if d.Recv == nil && d.Name.Name == "init" && !s.generated {
				t.report("init", d.Pos(), "init() hides an order of effects; use a constructor")
			}
		}
	}
}

// functions gives the declared functions and methods of a file.
func functions(s *source) func(yield func(*ast.FuncDecl) bool) {
	return func(yield func(*ast.FuncDecl) bool) {
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !yield(f) {
				return
			}
		}
	}
}

// checkSizes keeps files and functions, of tests too, in reach of one look.
func checkSizes(t *tree) {
	for _, s := range t.handWritten() {
		if s.lines > maxFileLines {
			t.report("file-size", s.syntax.Package, "the file has %d lines; split it by noun (limit %d)", s.lines, maxFileLines)
		}
		for d := range functions(s) {
			if n := t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1; n > maxFuncLines {
				t.report("func-size", d.Pos(), "%s has %d lines (limit %d)", d.Name.Name, n, maxFuncLines)
			}
		}
	}
}

// checkNesting keeps the happy path at the left margin. A function literal starts again at the margin, and else-if stays at the level of its if.
func checkNesting(t *tree) {
	for _, s := range t.handWritten() {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				t.checkDepth(n.Body)
			case *ast.FuncLit:
				t.checkDepth(n.Body)
			}
			return true
		})
	}
}

// checkDepth reports the first block of a function that lies too deep.
func (t *tree) checkDepth(body *ast.BlockStmt) {
	if body == nil {
		return
	}
	if at, deep := tooDeep(body, 0); deep {
		t.report("nesting", at, "this is nested deeper than %d", maxNesting)
	}
}

// tooDeep walks the statements below n, which lies at the given depth.
func tooDeep(n ast.Node, depth int) (at token.Pos, deep bool) {
	ast.Inspect(n, func(child ast.Node) bool {
		if deep || child == nil || child == n {
			return !deep
		}
		if _, literal := child.(*ast.FuncLit); literal {
			return false
		}
		if !opensLevel(child) {
			return true
		}
		below := depth + 1
		if parent, ok := n.(*ast.IfStmt); ok && parent.Else == child {
			below = depth
		}
		if below > maxNesting {
			at, deep = child.Pos(), true
			return false
		}
		at, deep = tooDeep(child, below)
		return false
	})
	return at, deep
}

// opensLevel says which statements count as a level.
func opensLevel(n ast.Node) bool {
	switch n.(type) {
	case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
		return true
	}
	return false
}

// checkInterfaces keeps interfaces small enough to be faked by hand.
func checkInterfaces(t *tree) {
	for _, s := range t.handWritten() {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			x, ok := n.(*ast.InterfaceType)
			if ok && x.Methods.NumFields() > maxInterfaceMethods {
				t.report("interface-size", x.Pos(), "the interface has %d methods (limit %d)", x.Methods.NumFields(), maxInterfaceMethods)
			}
			return true
		})
	}
}

// checkSleep refuses tests that wait for time instead of a signal, a probe or a log line.
func checkSleep(t *tree) {
	for _, s := range t.sources {
		if !s.test && !suite(s.folder) {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok && s.refers(x, "time", "Sleep") {
				t.report("sleep", x.Pos(), "a test waits for a signal, never for time")
			}
			return true
		})
	}
}

// refers says whether a selector names one of the given things of a package.
func (s *source) refers(x *ast.SelectorExpr, pkg string, names ...string) bool {
	id, ok := x.X.(*ast.Ident)
	return ok && s.imports[id.Name] == pkg && slices.Contains(names, x.Sel.Name)
}

// checkVariables refuses package variables that could change. What stays is what the language offers no constant for:
// error sentinels, compiled expressions, embedded files, and assertions that a type has an interface.
// checkAssignments then sees to it that nobody sets those.
func checkVariables(t *tree) {
	for _, s := range t.handWritten() {
		if s.test {
			continue
		}
		for spec, embedded := range variables(s) {
			if !embedded && !s.unchanging(spec) {
				t.report("variable", spec.Pos(), "package variable %s can change; use a constant or a function", spec.Names[0].Name)
			}
		}
	}
}

// variables gives the package variables of a file, and whether the compiler embeds a file in them.
func variables(s *source) map[*ast.ValueSpec]bool {
	found := map[*ast.ValueSpec]bool{}
	for _, d := range s.syntax.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			found[v] = embeds(g.Doc) || embeds(v.Doc)
		}
	}
	return found
}

// embeds says whether a comment is the directive that embeds files.
func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// unchanging says whether all variables of a declaration are of the kinds that stay.
func (s *source) unchanging(spec *ast.ValueSpec) bool {
	for i, name := range spec.Names {
		if name.Name == "_" {
			continue
		}
		if i >= len(spec.Values) {
			return false
		}
		call, ok := spec.Values[i].(*ast.CallExpr)
		if !ok {
			return false
		}
		maker, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !s.refers(maker, "errors", "New") && !s.refers(maker, "regexp", "MustCompile") {
			return false
		}
	}
	return true
}

// checkAssignments refuses to set, or to hand out the address of, a package variable: ours by its bare name, anybody's by its package.
// It goes by names, so a local variable that hides a package variable is refused too.
func checkAssignments(t *tree) {
	owned := map[string][]string{}
	for _, s := range t.sources {
		if !s.test {
			owned[s.folder] = append(owned[s.folder], variableNames(s)...)
		}
	}
	for _, s := range t.handWritten() {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			for _, target := range targets(n) {
				t.checkTarget(s, target, owned[s.folder])
			}
			return true
		})
	}
}

// variableNames gives the names of the package variables of a file.
func variableNames(s *source) []string {
	var names []string
	for spec := range variables(s) {
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "_" })
}

// targets gives what a statement sets or takes the address of.
func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	}
	return nil
}

// checkTarget judges one thing that is set.
func (t *tree) checkTarget(s *source, target ast.Expr, owned []string) {
	switch x := target.(type) {
	case *ast.Ident:
		if slices.Contains(owned, x.Name) {
			t.report("assignment", x.Pos(), "package variable %s is set here", x.Name)
		}
	case *ast.SelectorExpr:
		id, ok := x.X.(*ast.Ident)
		if !ok {
			return
		}
		if target, imported := s.imports[id.Name]; imported {
			t.report("assignment", x.Pos(), "variable %s of package %s is set here", x.Sel.Name, target)
		}
	}
}

// checkPurity keeps clock, network, disk and log out of the decisions of workloads (decide*.go).
func checkPurity(t *tree) {
	for _, s := range t.handWritten() {
		row := path.Dir(s.folder)
		if s.test || row != "workload" || !strings.HasPrefix(path.Base(s.path), "decide") {
			continue
		}
		for _, spec := range s.syntax.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err == nil && impure(target) {
				t.report("purity", spec.Pos(), "a decision must not import %s", target)
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if ok && s.refers(x, "time", "Now", "Since", "Until", "After", "AfterFunc", "Sleep", "NewTimer", "NewTicker", "Tick") {
				t.report("purity", x.Pos(), "a decision has no clock; take the time from the observation")
			}
			return true
		})
	}
}

// impure says whether a package reaches outside the process, or makes an answer differ between two calls.
func impure(target string) bool {
	return slices.ContainsFunc([]string{
		"os", "net", "log", "syscall", "context", "io", "math/rand", "crypto/rand",
		franz + "/pkg/kgo", franz + "/pkg/kadm",
	}, func(prefix string) bool { return under(target, prefix) })
}
