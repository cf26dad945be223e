package codegen

import (
	"go/ast"
	"go/token"
	"go/types"
)

// use is a place where a value of a type becomes one of an interface.
type use struct {
	of      *types.Named // the interface
	typ     *types.Named
	byValue bool
}

// implements says whether the use is that of a servicer.
func (u use) implements(s *Service) bool {
	name := u.of.Obj()
	return name.Pkg() != nil && name.Pkg().Path() == s.File.ImportPath && name.Name() == s.Servicer
}

// uses finds where values become interfaces: var _ pkg.Servicer = (*T)(nil), AddServicerToServer(T{}, server), and
// likewise in assignments, conversions and results.
func (c *checkedPackage) uses() []use {
	var all []use
	add := func(to types.Type, value ast.Expr) {
		if of, ok := namedInterface(to); ok {
			if typ, byValue := c.concrete(value); typ != nil {
				all = append(all, use{of, typ, byValue})
			}
		}
	}
	for _, file := range c.files {
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.ValueSpec:
				for _, value := range node.Values {
					if node.Type != nil {
						add(c.info.TypeOf(node.Type), value)
					}
				}
			case *ast.AssignStmt:
				for i, value := range node.Rhs {
					if len(node.Lhs) == len(node.Rhs) && node.Tok == token.ASSIGN {
						add(c.info.TypeOf(node.Lhs[i]), value)
					}
				}
			case *ast.CallExpr:
				c.usesOfCall(node, add)
			case *ast.FuncDecl:
				c.usesOfResults(node.Type, node.Body, add)
			case *ast.FuncLit:
				c.usesOfResults(node.Type, node.Body, add)
			}
			return true
		})
	}
	return all
}

func (c *checkedPackage) usesOfCall(call *ast.CallExpr, add func(types.Type, ast.Expr)) {
	fun := c.info.Types[call.Fun]
	if fun.IsType() && len(call.Args) == 1 {
		add(fun.Type, call.Args[0])
		return
	}
	signature, ok := fun.Type.(*types.Signature)
	if !ok {
		return
	}
	for i, arg := range call.Args {
		if i < signature.Params().Len() {
			add(signature.Params().At(i).Type(), arg)
		}
	}
}

func (c *checkedPackage) usesOfResults(typ *ast.FuncType, body *ast.BlockStmt, add func(types.Type, ast.Expr)) {
	if typ.Results == nil || body == nil {
		return
	}
	var results []types.Type
	for _, field := range typ.Results.List {
		for range max(1, len(field.Names)) {
			results = append(results, c.info.TypeOf(field.Type))
		}
	}
	ast.Inspect(body, func(node ast.Node) bool {
		if statement, ok := node.(*ast.ReturnStmt); ok && len(statement.Results) == len(results) {
			for i, value := range statement.Results {
				add(results[i], value)
			}
		}
		_, isFunction := node.(*ast.FuncLit)
		return !isFunction
	})
}

func namedInterface(typ types.Type) (*types.Named, bool) {
	named, ok := types.Unalias(typ).(*types.Named)
	return named, ok && types.IsInterface(named)
}

// concrete returns the named type of a value, or of what it points to, if that can have methods at all.
func (c *checkedPackage) concrete(value ast.Expr) (typ *types.Named, byValue bool) {
	of := c.info.TypeOf(value)
	if of == nil {
		return nil, false
	}
	of = types.Unalias(of)
	pointer, isPointer := of.(*types.Pointer)
	if isPointer {
		of = types.Unalias(pointer.Elem())
	}
	named, ok := of.(*types.Named)
	if !ok || types.IsInterface(named) || named.Obj().Pkg() == nil {
		return nil, false
	}
	return named.Origin(), !isPointer
}
