package runtime

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// eachFile parses the files of the runtime and of its companions, without those of tests and those that are generated.
func eachFile(t *testing.T, visit func(at func(ast.Node) string, file *ast.File)) {
	t.Helper()
	files := token.NewFileSet()
	n := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		n++
		visit(func(node ast.Node) string { return files.Position(node.Pos()).String() }, file)
		return nil
	})
	check(t, err)
	if n < 60 {
		t.Errorf("only %d files were found", n)
	}
}

// TestSource_LogRecordsAreConstant has the message of each record, and the key of each attribute, be a literal: text that
// varies, which a client may have chosen, belongs into an attribute.
func TestSource_LogRecordsAreConstant(t *testing.T) {
	n := 0
	literal := func(e ast.Expr) bool {
		l, ok := e.(*ast.BasicLit)
		return ok && l.Kind == token.STRING
	}
	eachFile(t, func(at func(ast.Node) string, file *ast.File) {
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isLogger(method.X) {
				return true
			}
			message := map[string]int{
				"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
				"Log": 2, "LogAttrs": 2,
			}
			i, logs := message[method.Sel.Name]
			if !logs {
				return true
			}
			n++
			if !literal(call.Args[i]) {
				t.Errorf("%s: the message is not a constant", at(call))
			}
			for j := i + 1; j < len(call.Args) && method.Sel.Name != "LogAttrs"; j += 2 {
				if !literal(call.Args[j]) {
					t.Errorf("%s: the key of an attribute is not a constant", at(call.Args[j]))
				}
			}
			return true
		})
	})
	if n < 10 {
		t.Errorf("only %d calls were found", n)
	}
}

// isLogger reports whether an expression is a logger by its name, or package slog.
func isLogger(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "slog" || e.Name == "logger"
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "logger")
	}
	return false
}
