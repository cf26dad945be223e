package typecheck

import (
	"go/ast"
	"go/token"
	"go/types"
)

// Use is a place where a value of a type, or a pointer to one, becomes one of an interface.
type Use struct {
	Interface types.Type
	Type      *types.Named
	ByValue   bool
}

// Uses finds where values become interfaces: var _ pkg.Servicer = (*T)(nil), AddServicerToServer(T{}, server), and
// likewise in assignments, conversions, results, composite literals, and what is sent to channels.
func (c *Checked) Uses() []Use {
	if c.uses == nil {
		finder := &useFinder{info: c.Info, found: []Use{}}
		for _, file := range c.Files {
			ast.Inspect(file, finder.visit)
		}
		c.uses = finder.found
	}
	return c.uses
}

// useFinder gathers the uses in files that have been checked.
type useFinder struct {
	info  *types.Info
	found []Use
}

// add notes a use, if a value becomes an interface where it is converted to a type.
func (f *useFinder) add(to, value types.Type) {
	if to == nil || !types.IsInterface(to) {
		return
	}
	if typ, byValue := concrete(value); typ != nil {
		f.found = append(f.found, Use{to, typ, byValue})
	}
}

// visit finds the uses in a node, apart from those in nodes below it.
func (f *useFinder) visit(node ast.Node) bool {
	switch node := node.(type) {
	case *ast.ValueSpec:
		if node.Type != nil {
			for _, value := range f.typesOf(node.Values) {
				f.add(f.info.TypeOf(node.Type), value)
			}
		}
	case *ast.AssignStmt:
		if node.Tok == token.ASSIGN {
			f.addAll(f.typesOf(node.Lhs), f.typesOf(node.Rhs))
		}
	case *ast.SendStmt:
		if channel, ok := underlying(f.info.TypeOf(node.Chan)).(*types.Chan); ok {
			f.add(channel.Elem(), f.info.TypeOf(node.Value))
		}
	case *ast.CompositeLit:
		f.visitLiteral(node)
	case *ast.CallExpr:
		f.visitCall(node)
	case *ast.FuncDecl:
		f.visitResults(node.Type, node.Body)
	case *ast.FuncLit:
		f.visitResults(node.Type, node.Body)
	}
	return true
}

// addAll notes the uses of values that become other types one by one. If the numbers differ, the code does not compile.
func (f *useFinder) addAll(to, values []types.Type) {
	if len(to) == len(values) {
		for i, value := range values {
			f.add(to[i], value)
		}
	}
}

// typesOf returns the types of a list of values, which may be one call with several results.
func (f *useFinder) typesOf(values []ast.Expr) []types.Type {
	var all []types.Type
	for _, value := range values {
		typ := f.info.TypeOf(value)
		if tuple, ok := typ.(*types.Tuple); ok && len(values) == 1 {
			for result := range tuple.Variables() {
				all = append(all, result.Type())
			}
			return all
		}
		all = append(all, typ)
	}
	return all
}

func (f *useFinder) visitLiteral(literal *ast.CompositeLit) {
	of := underlying(f.info.TypeOf(literal))
	if pointer, ok := of.(*types.Pointer); ok { // of a list of pointers, where the & is left out
		of = underlying(pointer.Elem())
	}
	for i, value := range literal.Elts {
		var key ast.Expr
		if pair, ok := value.(*ast.KeyValueExpr); ok {
			key, value = pair.Key, pair.Value
		}
		switch of := of.(type) {
		case *types.Struct:
			if name, ok := key.(*ast.Ident); ok && f.info.Uses[name] != nil {
				f.add(f.info.Uses[name].Type(), f.info.TypeOf(value))
			} else if key == nil && i < of.NumFields() {
				f.add(of.Field(i).Type(), f.info.TypeOf(value))
			}
		case *types.Map:
			if key != nil {
				f.add(of.Key(), f.info.TypeOf(key))
				f.add(of.Elem(), f.info.TypeOf(value))
			}
		case interface{ Elem() types.Type }: // an array or a slice
			f.add(of.Elem(), f.info.TypeOf(value))
		}
	}
}

func (f *useFinder) visitCall(call *ast.CallExpr) {
	fun := f.info.Types[call.Fun]
	if fun.IsType() && len(call.Args) == 1 {
		f.add(fun.Type, f.info.TypeOf(call.Args[0]))
		return
	}
	signature, ok := fun.Type.(*types.Signature)
	if !ok {
		return
	}
	last := signature.Params().Len() - 1
	for i, arg := range f.typesOf(call.Args) {
		switch {
		case i < last, i == last && (!signature.Variadic() || call.Ellipsis.IsValid()):
			f.add(signature.Params().At(i).Type(), arg)
		case signature.Variadic():
			if list, ok := signature.Params().At(last).Type().(*types.Slice); ok { // not so for append([]byte, string...)
				f.add(list.Elem(), arg)
			}
		}
	}
}

func (f *useFinder) visitResults(typ *ast.FuncType, body *ast.BlockStmt) {
	if typ.Results == nil || body == nil {
		return
	}
	var results []types.Type
	for _, field := range typ.Results.List {
		for range max(1, len(field.Names)) {
			results = append(results, f.info.TypeOf(field.Type))
		}
	}
	ast.Inspect(body, func(node ast.Node) bool {
		if statement, ok := node.(*ast.ReturnStmt); ok {
			f.addAll(results, f.typesOf(statement.Results))
		}
		_, isFunction := node.(*ast.FuncLit)
		return !isFunction
	})
}

// underlying is for what the type checker may not know.
func underlying(typ types.Type) types.Type {
	if typ == nil {
		return nil
	}
	return typ.Underlying()
}

// concrete returns the named type of a value, or of what it points to, if that can have methods at all.
func concrete(of types.Type) (typ *types.Named, byValue bool) {
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
