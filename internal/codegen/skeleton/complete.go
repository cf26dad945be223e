package skeleton

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// complete adds those methods to an implementation that it lacks in one build.
func (p *Plan) complete(s *Service, t *servicer) error {
	if !slices.Contains(p.served[t.name()], s) {
		p.served[t.name()] = append(p.served[t.name()], s)
	}
	if !p.isWritable(s, t) {
		return nil
	}
	added := make(map[*source.File][]string)
	var order []*source.File
	for _, m := range s.Methods {
		file := p.place(t, m)
		if file == nil {
			continue
		}
		if err := p.addMethod(t, file, m); err != nil {
			return err
		}
		if added[file] == nil {
			order = append(order, file)
		}
		added[file] = append(added[file], m.Name)
	}
	for _, file := range order {
		p.note(file.Path, 0, "added %s to %s", strings.Join(added[file], ", "), t.name())
	}
	return nil
}

// isWritable says whether methods can be added to a type, and tells the user why not.
func (p *Plan) isWritable(s *Service, t *servicer) bool {
	position := t.line()
	if _, ok := t.named.Underlying().(*types.Pointer); ok {
		p.note(t.file.Path, position, "%s is a pointer, which can have no methods: nothing has been added to it", t.name())
		return false
	}
	if t.decl == nil || t.declared > 1 {
		p.note(t.file.Path, position, "%s is declared more than once: nothing has been added to it", t.name())
		return false
	}
	if name := unresolved(t.named, make(map[types.Type]bool)); name != "" {
		p.note(t.file.Path, position, "%s depends on %s, which the type checker does not find, so that it may have any methods: "+
			"nothing has been added to it", t.name(), name)
		return false
	}
	if s.RequireEmbedding && t.asserted {
		pkg := t.build.wanted(t.build.plain, s)
		if pkg != nil && types.NewMethodSet(types.NewPointer(t.named)).Lookup(t.basePackage(s), s.MustEmbed) == nil {
			p.note(t.file.Path, position, "%s has to embed %s.%s", t.name(), s.PackageName, s.Unimplemented)
		}
	}
	return true
}

// basePackage returns the package that the unimplemented base is in.
func (t *servicer) basePackage(s *Service) *types.Package {
	if pkg, err := t.build.types.Load(s.Package); err == nil && s.Package != t.named.Obj().Pkg().Path() {
		return pkg
	}
	return t.named.Obj().Pkg()
}

// addMethod adds a method to a file.
func (p *Plan) addMethod(t *servicer, file *source.File, m *Method) error {
	edit := p.edit(file, t.build)
	of := Implementation{PackageName: p.pkg.name, Type: t.name(), Receiver: t.receiverName(edit.Imports)}
	of.ReceiverType = t.receiverType(m, edit.Imports, of.Receiver)
	edit.Imports.Avoid(map[string]bool{of.Receiver: true})
	text, err := p.text.Method(m, of, edit.Imports)
	if err != nil {
		return err
	}
	edit.InsertAfter(t.lastDeclaration(file), "\n\n"+text)
	for _, b := range p.pkg.builds {
		if slices.Contains(b.Files, file) {
			p.added[b][methodKey{t.name(), m.Name}] = m
		}
	}
	return nil
}

// lastDeclaration returns the node in a file behind which new methods go: the last method, or else the type.
func (t *servicer) lastDeclaration(file *source.File) ast.Node {
	var last ast.Node
	if t.file == file {
		last = t.decl
	}
	for _, m := range t.methods {
		if m.file == file && (last == nil || m.decl.Pos() > last.Pos()) {
			last = m.decl
		}
	}
	return last
}
