package codegen

import (
	"go/ast"
	"go/token"
	"go/types"
)

// use is a place where a value of a type becomes one of an interface.
type use struct {
	of      types.Type // the interface
	typ     *types.Named
	byValue bool
}

// implements says whether the use is that of a servicer: as one, or as an interface that embeds it.
func (u use) implements(s *Service) bool {
	return embedsServicer(u.of, s, make(map[types.Type]bool))
}

func embedsServicer(typ types.Type, s *Service, seen map[types.Type]bool) bool {
	of, ok := typ.Underlying().(*types.Interface)
	if !ok || seen[typ] {
		return false
	}
	seen[typ] = true
	if name := typeName(typ); name != nil && name.Pkg() != nil && name.Pkg().Path() == s.File.ImportPath && name.Name() == s.Servicer {
		return true
	}
	for embedded := range of.EmbeddedTypes() {
		if embedsServicer(embedded, s, seen) {
			return true
		}
	}
	return false
}

// uses finds where values become interfaces: var _ pkg.Servicer = (*T)(nil), AddServicerToServer(T{}, server), and
// likewise in assignments, conversions, results, composite literals, and what is sent to channels.
func (c *checkedPackage) uses() []use {
	if c.used == nil {
		c.used = c.findUses()
	}
	return c.used
}

func (c *checkedPackage) findUses() []use {
	all := []use{}
	add := func(to, value types.Type) {
		if to == nil || !types.IsInterface(to) {
			return
		}
		if typ, byValue := concrete(value); typ != nil {
			all = append(all, use{to, typ, byValue})
		}
	}
	for _, file := range c.files {
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.ValueSpec:
				if node.Type != nil {
					for _, value := range c.typesOf(node.Values) {
						add(c.info.TypeOf(node.Type), value)
					}
				}
			case *ast.AssignStmt:
				if values := c.typesOf(node.Rhs); len(values) == len(node.Lhs) && node.Tok == token.ASSIGN {
					for i, value := range values {
						add(c.info.TypeOf(node.Lhs[i]), value)
					}
				}
			case *ast.SendStmt:
				if channel, ok := underlying(c.info.TypeOf(node.Chan)).(*types.Chan); ok {
					add(channel.Elem(), c.info.TypeOf(node.Value))
				}
			case *ast.CompositeLit:
				c.usesOfLiteral(node, add)
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

// typesOf returns the types of a list of values, which may be one call with several results.
func (c *checkedPackage) typesOf(values []ast.Expr) []types.Type {
	var all []types.Type
	for _, value := range values {
		typ := c.info.TypeOf(value)
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

func (c *checkedPackage) usesOfLiteral(literal *ast.CompositeLit, add func(to, value types.Type)) {
	of := underlying(c.info.TypeOf(literal))
	if pointer, ok := of.(*types.Pointer); ok { // of a list of pointers, where the & is left out
		of = underlying(pointer.Elem())
	}
	for i, element := range literal.Elts {
		var key ast.Expr
		value := element
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			key, value = pair.Key, pair.Value
		}
		switch of := of.(type) {
		case *types.Struct:
			if name, ok := key.(*ast.Ident); ok && c.info.Uses[name] != nil {
				add(c.info.Uses[name].Type(), c.info.TypeOf(value))
			} else if key == nil && i < of.NumFields() {
				add(of.Field(i).Type(), c.info.TypeOf(value))
			}
		case *types.Map:
			if key != nil {
				add(of.Key(), c.info.TypeOf(key))
				add(of.Elem(), c.info.TypeOf(value))
			}
		case interface{ Elem() types.Type }: // an array or a slice
			add(of.Elem(), c.info.TypeOf(value))
		}
	}
}

func (c *checkedPackage) usesOfCall(call *ast.CallExpr, add func(to, value types.Type)) {
	fun := c.info.Types[call.Fun]
	if fun.IsType() && len(call.Args) == 1 {
		add(fun.Type, c.info.TypeOf(call.Args[0]))
		return
	}
	signature, ok := fun.Type.(*types.Signature)
	if !ok {
		return
	}
	last := signature.Params().Len() - 1
	for i, arg := range c.typesOf(call.Args) {
		switch {
		case i < last, i == last && (!signature.Variadic() || call.Ellipsis.IsValid()):
			add(signature.Params().At(i).Type(), arg)
		case signature.Variadic():
			if list, ok := signature.Params().At(last).Type().(*types.Slice); ok { // not so for append([]byte, string...)
				add(list.Elem(), arg)
			}
		}
	}
}

func (c *checkedPackage) usesOfResults(typ *ast.FuncType, body *ast.BlockStmt, add func(to, value types.Type)) {
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
		if statement, ok := node.(*ast.ReturnStmt); ok {
			if values := c.typesOf(statement.Results); len(values) == len(results) {
				for i, value := range values {
					add(results[i], value)
				}
			}
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
