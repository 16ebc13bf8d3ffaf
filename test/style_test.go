package test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// drawers are names that say nothing of what is inside.
var drawers = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "models", "core", "shared", "base"}

// TestStyle enforces what a reader relies on in every Go file: its length, a
// name that says something, a package comment, and that neither hidden starts
// nor skipped tests nor notes to self are in it.
func TestStyle(t *testing.T) {
	documented := make(map[string]bool)
	for _, path := range goFiles(t) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > 400 {
			t.Errorf("%s has %d lines; 400 is the most", path, lines)
		}
		for _, part := range regexp.MustCompile(`[/_.]`).Split(strings.TrimSuffix(path, ".go"), -1) {
			if slices.Contains(drawers, part) {
				t.Errorf("%s: %q says nothing of what is inside", path, part)
			}
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil && !strings.HasSuffix(path, "_test.go")
		checkDecls(t, path, file)
		checkNotes(t, path, file)
	}
	for dir, ok := range documented {
		if !ok && dir != "test" {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, _ = filepath.Rel("..", path)
		if d.IsDir() && (path == ".git" || path == "run" || path == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func checkDecls(t *testing.T, path string, file *ast.File) {
	t.Helper()
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if f.Name.Name == "init" && f.Recv == nil {
			t.Errorf("%s has an init function", path)
		}
		if ast.IsExported(f.Name.Name) && f.Doc == nil && f.Recv == nil && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s: %s has no comment", path, f.Name.Name)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "t" || x.Name == "b" || x.Name == "tb") {
				t.Errorf("%s skips a test", path)
			}
		}
		return true
	})
}

// note matches the words of somebody who meant to come back.
var note = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func checkNotes(t *testing.T, path string, file *ast.File) {
	t.Helper()
	for _, group := range file.Comments {
		if note.MatchString(group.Text()) && !strings.HasPrefix(path, "test"+string(filepath.Separator)+"style") {
			t.Errorf("%s has a note to self: %s", path, note.FindString(group.Text()))
		}
	}
}
