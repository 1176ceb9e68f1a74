package understudy_test

import (
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// checkImports holds every import against the law.
func checkImports(t *tree) {
	rows := law()
	for _, s := range t.sources {
		row, ok := rowOf(rows, s.folder)
		if !ok {
			t.report("imports", s.syntax.Package, "folder %s has no row in the import law", s.folder)
			continue
		}
		for _, spec := range s.syntax.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if spec.Name != nil {
				t.checkImportName(s, spec.Name.Name, target, spec.Pos())
			}
			if why := refusal(rows, row, s, target); why != "" {
				t.report("imports", spec.Pos(), "%s", why)
			}
		}
	}
}

// checkImportName refuses imports for effect and imports that hide where a name comes from.
func (t *tree) checkImportName(s *source, name, target string, at token.Pos) {
	if name == "." || name == "_" && target != "embed" {
		t.report("imports", at, "%s imports %s as %q", s.folder, target, name)
	}
}

// refusal says why a file may not import a package, or nothing.
func refusal(rows []layer, row layer, s *source, target string) string {
	if folder, ours := folderOf(target); ours {
		return refusalOfOurs(rows, row, s, folder)
	}
	first, _, _ := strings.Cut(target, "/")
	if !strings.Contains(first, ".") {
		return refusalOfStandard(row, s, target)
	}
	return refusalOfThird(row, s, target)
}

// refusalOfOurs judges an import of our own.
func refusalOfOurs(rows []layer, row layer, s *source, folder string) string {
	if folder == s.folder && s.test {
		return ""
	}
	if owner, inner := ownerOf(folder); inner && !hasRow(rows, folder) {
		importer, _ := ownerOf(s.folder)
		if owner == importer && row.internal {
			return ""
		}
		return s.folder + " imports " + folder + ", which belongs to another package"
	}
	target, ok := rowOf(rows, folder)
	if !ok {
		return s.folder + " imports " + folder + ", which has no row in the import law"
	}
	if slices.Contains(row.ours, target.folder) {
		return ""
	}
	if s.test && openToTests(row, target) {
		return ""
	}
	return s.folder + " must not import " + folder
}

// openToTests says what _test.go files get beyond the row of their package.
func openToTests(row, target layer) bool {
	isLab := target.folder == "lab" || target.folder == "lab/*"
	return isLab || target.inTests && !row.lab
}

// refusalOfStandard keeps I/O out of the vocabulary.
func refusalOfStandard(row layer, s *source, target string) string {
	if !row.bare || s.test || target == "log/slog" {
		return ""
	}
	for _, io := range []string{"os", "net", "syscall", "database", "log", "plugin", "embed"} {
		if under(target, io) {
			return "the vocabulary does no I/O and must not import " + target
		}
	}
	return ""
}

// refusalOfThird judges an import of a module of others.
func refusalOfThird(row layer, s *source, target string) string {
	allowed := row.third
	if s.test {
		allowed = with(allowed, testLibraries()...)
		allowed = with(allowed, franz)
	}
	if !row.bare {
		allowed = with(allowed, "golang.org/x/sync")
	}
	for _, library := range testLibraries() {
		if under(target, library) && !slices.Contains(allowed, library) {
			return s.folder + " must not import the test library " + target
		}
	}
	if slices.ContainsFunc(allowed, func(prefix string) bool { return under(target, prefix) }) {
		return ""
	}
	return s.folder + " must not import " + target
}

// hasRow says whether a folder has a row by its whole name.
func hasRow(rows []layer, folder string) bool {
	return slices.ContainsFunc(rows, func(r layer) bool { return r.folder == folder })
}

// rowOf gives the row of a folder; internal packages obey the row of their owner, but for those that have one.
func rowOf(rows []layer, folder string) (layer, bool) {
	owner, inner := ownerOf(folder)
	if inner && hasRow(rows, folder) {
		owner, inner = folder, false
	}
	i := slices.IndexFunc(rows, func(r layer) bool {
		ok, err := path.Match(r.folder, owner)
		return err == nil && ok
	})
	if i < 0 || inner && !rows[i].internal {
		return layer{}, false
	}
	return rows[i], true
}

// ownerOf gives the folder that owns an internal package, and whether it is one.
func ownerOf(folder string) (string, bool) {
	if owner, _, ok := strings.Cut(folder+"/", "/internal/"); ok {
		return owner, true
	}
	return folder, false
}

// folderOf gives the folder of one of our packages.
func folderOf(target string) (string, bool) {
	if target == module {
		return rootRow, true
	}
	return strings.CutPrefix(target, module+"/")
}

// under says whether a package path is the prefix or lies below it; a major version below it counts.
func under(target, prefix string) bool {
	return target == prefix || strings.HasPrefix(target, prefix+"/")
}
