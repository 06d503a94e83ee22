package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// contract reads the source of package provider.
func contract(t *testing.T) []*ast.File {
	t.Helper()
	const dir = "../../provider"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	set := token.NewFileSet()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join(dir, e.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// structs lists the contract's exported structs.
func structs(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, f := range contract(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() {
				if _, ok := s.Type.(*ast.StructType); ok {
					found[s.Name.Name] = true
				}
			}
			return true
		})
	}
	if len(found) < 20 {
		t.Fatalf("only %d structs were found", len(found))
	}
	return slices.Sorted(maps.Keys(found))
}

// values lists the contract's constants by the name of their type.
func values(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, f := range contract(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.ValueSpec)
			if !ok || len(s.Values) != 1 {
				return true
			}
			typ, isNamed := s.Type.(*ast.Ident)
			lit, isLiteral := s.Values[0].(*ast.BasicLit)
			if isNamed && isLiteral && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				found[typ.Name] = append(found[typ.Name], text)
			}
			return true
		})
	}
	return found
}
