package runtime

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
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

// TestSource_MutexesHavePlaces has every mutex of the runtime be one of package locks: of any other, make lockorder sees nothing.
// The companions are application code to the runtime, which calls them without a mutex.
func TestSource_MutexesHavePlaces(t *testing.T) {
	companions := []string{"health", "interceptor", "reflection", "runtimetest", "h2test"}
	n := 0
	eachFile(t, func(at func(ast.Node) string, file *ast.File) {
		if in := file.Name.Name; in == "locks" || slices.Contains(companions, in) {
			return
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if of, ok := node.(*ast.SelectorExpr); ok && strings.HasSuffix(of.Sel.Name, "Mutex") {
				switch from, _ := of.X.(*ast.Ident); {
				case from == nil:
				case from.Name == "locks":
					n++
				case from.Name == "sync":
					t.Errorf("%s: a mutex without a place in the order", at(of))
				}
			}
			return true
		})
	})
	if n < 15 {
		t.Errorf("only %d mutexes were found", n)
	}
}

// TestSource_GoroutinesContainPanics has every goroutine and every timer of the runtime begin with a function that recovers,
// or does nothing but call one: a panic there would end the process.
func TestSource_GoroutinesContainPanics(t *testing.T) {
	functions := map[string]map[string][]*ast.FuncDecl{} // by package and name
	type start struct {
		at, in string
		f      ast.Expr
	}
	var starts []start
	eachFile(t, func(at func(ast.Node) string, file *ast.File) {
		in := file.Name.Name
		if in == "runtimetest" || in == "h2test" {
			return // which are for tests
		}
		if functions[in] == nil {
			functions[in] = map[string][]*ast.FuncDecl{}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				functions[in][node.Name.Name] = append(functions[in][node.Name.Name], node)
			case *ast.GoStmt:
				starts = append(starts, start{at(node), in, node.Call.Fun})
			case *ast.CallExpr:
				if f, ok := node.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "AfterFunc" && len(node.Args) == 2 {
					starts = append(starts, start{at(node), in, node.Args[1]})
				}
			}
			return true
		})
	})
	if len(starts) < 15 {
		t.Errorf("only %d goroutines and timers were found", len(starts))
	}
	for _, s := range starts {
		contained := false
		switch f := s.f.(type) {
		case *ast.FuncLit:
			contained = recovers(f.Body)
		case *ast.Ident:
			for _, decl := range functions[s.in][f.Name] {
				contained = contained || recovers(decl.Body)
			}
		case *ast.SelectorExpr:
			name := strings.TrimSuffix(f.Sel.Name, "Func") // writeRestFunc is writeRest, and onAlarmFunc would be onAlarm
			for _, decl := range functions[s.in][name] {
				contained = contained || recovers(decl.Body)
			}
		}
		if !contained {
			t.Errorf("%s: what begins here does not recover from panics", s.at)
		}
	}
}

// recovers reports whether a function recovers from panics, or does all that it does, but for what it defers, in one call of
// safely or survive.
func recovers(body *ast.BlockStmt) bool {
	if defersRecover(body) {
		return true
	}
	last := len(body.List) - 1
	for i, statement := range body.List {
		if _, ok := statement.(*ast.DeferStmt); !ok && i < last {
			return false
		}
	}
	does, ok := body.List[last].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := does.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "safely"
	case *ast.SelectorExpr:
		return f.Sel.Name == "survive"
	}
	return false
}

// defersRecover reports whether a function defers a call of recoverPanic, or a function that recovers.
func defersRecover(body *ast.BlockStmt) bool {
	for _, statement := range body.List {
		deferred, ok := statement.(*ast.DeferStmt)
		if !ok {
			continue
		}
		if method, ok := deferred.Call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "recoverPanic" {
			return true
		}
		recovers := false
		ast.Inspect(deferred.Call.Fun, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if ok {
				f, ok := call.Fun.(*ast.Ident)
				recovers = recovers || ok && f.Name == "recover"
			}
			return true
		})
		if recovers {
			return true
		}
	}
	return false
}
