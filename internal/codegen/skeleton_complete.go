package codegen

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// complete adds those methods to an implementation that it lacks in one build.
func (w *skeletonWriter) complete(s *Service, t *servicer) error {
	if !slices.Contains(w.served[t.name()], s) {
		w.served[t.name()] = append(w.served[t.name()], s)
	}
	if !w.isWritable(s, t) {
		return nil
	}
	added := make(map[*userFile][]string)
	var order []*userFile
	for _, m := range s.Methods {
		file := w.place(t, m)
		if file == nil {
			continue
		}
		if err := w.addMethod(t, file, m); err != nil {
			return err
		}
		if added[file] == nil {
			order = append(order, file)
		}
		added[file] = append(added[file], m.Name)
	}
	for _, file := range order {
		w.report(file.path, 0, "added %s to %s", strings.Join(added[file], ", "), t.name())
	}
	return nil
}

// isWritable says whether methods can be added to a type, and tells the user why not.
func (w *skeletonWriter) isWritable(s *Service, t *servicer) bool {
	position := w.lineOf(t)
	if _, ok := t.named.Underlying().(*types.Pointer); ok {
		w.report(t.file.path, position, "%s is a pointer, which can have no methods: nothing has been added to it", t.name())
		return false
	}
	if t.decl == nil || t.isDeclaredTwice() {
		w.report(t.file.path, position, "%s is declared more than once: nothing has been added to it", t.name())
		return false
	}
	if name := unresolved(t.named, make(map[types.Type]bool)); name != "" {
		w.report(t.file.path, position, "%s depends on %s, which the type checker does not find, so that it may have any methods: "+
			"nothing has been added to it", t.name(), name)
		return false
	}
	if s.File.RequireEmbedding && t.asserted {
		pkg := w.pkg.wanted(t.build, t.build.plain, s)
		if pkg != nil && types.NewMethodSet(types.NewPointer(t.named)).Lookup(t.basePackage(s), s.MustEmbed) == nil {
			w.report(t.file.path, position, "%s has to embed %s.%s", t.name(), s.File.PackageName, s.Unimplemented)
		}
	}
	return true
}

// basePackage returns the package that the unimplemented base is in.
func (t *servicer) basePackage(s *Service) *types.Package {
	if pkg, err := t.build.types.load(s.File.ImportPath); err == nil && s.File.ImportPath != t.named.Obj().Pkg().Path() {
		return pkg
	}
	return t.named.Obj().Pkg()
}

func (w *skeletonWriter) lineOf(t *servicer) int { return t.file.line(t.named.Obj().Pos()) }

func (t *servicer) isDeclaredTwice() bool {
	n := 0
	for _, file := range t.build.files {
		for _, decl := range file.syntax.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok {
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.Name == t.name() {
						n++
					}
				}
			}
		}
	}
	return n > 1
}

// place returns the file to which a method is to be added, or nil if the type has it, or cannot have it.
func (w *skeletonWriter) place(t *servicer, m *Method) *userFile {
	if !w.lacks(t, m) {
		return nil
	}
	homes := slices.DeleteFunc(t.homes(m.Service), func(file *userFile) bool { return !w.fits(file, t, m) })
	if everywhere := slices.IndexFunc(homes, func(file *userFile) bool { return w.serves(file, t, m) }); everywhere >= 0 {
		return homes[everywhere]
	}
	if len(homes) > 0 {
		return homes[0]
	}
	w.report(t.file.path, w.lineOf(t), "%s lacks %s on %s. Elsewhere, or in the tests, it has that method, and all its files "+
		"are in use there too: write it, in a file for that build", t.name(), m.Name, t.build)
	return nil
}

// lacks says whether a method is to be added to a type, and tells the user if that has to do it.
func (w *skeletonWriter) lacks(t *servicer, m *Method) bool {
	wanted := methodOf(w.pkg.wanted(t.build, t.build.plain, m.Service), m.Name)
	if first, ok := t.build.added[methodKey(t.name(), m.Name)]; ok {
		other := methodOf(w.pkg.wanted(t.build, t.build.plain, first.method.Service), m.Name)
		if wanted != nil && other != nil && !types.Identical(wanted, other) {
			w.reportDifference(t.file, w.lineOf(t), t, m)
		}
		return false
	}
	switch from, fn := t.provides(m.Name); from {
	case provided:
		if wanted != nil && !types.Identical(fn.Signature(), wanted) && isResolved(fn.Signature()) {
			file, line := t.file, w.lineOf(t)
			if own := w.pkg.fileOf(fn.Pos()); own != nil {
				file, line = own, own.line(fn.Pos())
			}
			w.reportDifference(file, line, t, m)
		}
	case fromBase:
		return t.main
	case missing:
		return t.main || t.asserted
	case underField:
		w.report(t.file.path, w.lineOf(t), "%s has a field %s where %s needs a method: rename the field",
			t.name(), m.Name, m.FullName)
	case ambiguous:
		w.report(t.file.path, w.lineOf(t), "%s has %s from several of the types that it embeds: write the method, "+
			"and call the one that is meant", t.name(), m.Name)
	}
	return false
}

func methodKey(typ, method string) string { return typ + "." + method }

// isResolved says whether the type checker knows all types of a signature.
func isResolved(signature *types.Signature) bool {
	return !strings.Contains(types.TypeString(signature, nil), "invalid type")
}

// homes returns the files that a method may be added to, the best one first: the one that holds most of the service's
// methods, or else the type.
func (t *servicer) homes(s *Service) []*userFile {
	counts := make(map[*userFile]int)
	for _, own := range t.methods {
		if slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Name == own.decl.Name.Name }) {
			counts[own.file] += 2
		}
	}
	counts[t.file]++
	for _, own := range t.methods {
		counts[own.file] += 0
	}
	var homes []*userFile
	for _, file := range t.build.files {
		if _, ok := counts[file]; ok && !file.isGenerated {
			homes = append(homes, file)
		}
	}
	slices.SortStableFunc(homes, func(a, b *userFile) int { return counts[b] - counts[a] })
	return homes
}

// serves says whether all builds that have to get a method from somewhere have a file. In one of some of them only, the
// others would need the method a second time.
func (w *skeletonWriter) serves(file *userFile, t *servicer, m *Method) bool {
	return !slices.ContainsFunc(w.pkg.builds, func(b *userBuild) bool {
		if slices.Contains(b.files, file) || b.added[methodKey(t.name(), m.Name)] != nil {
			return false
		}
		other := w.pkg.servicer(b, make(map[string]*servicer), t.name())
		if other == nil {
			return false
		}
		from, _ := other.provides(m.Name)
		return from == missing || from == fromBase
	})
}

// fits says whether a method can be in a file, whatever build uses it: in none of them the type may have it already.
func (w *skeletonWriter) fits(file *userFile, t *servicer, m *Method) bool {
	for _, b := range w.pkg.builds {
		if !slices.Contains(b.files, file) {
			continue
		}
		other := w.pkg.servicer(b, make(map[string]*servicer), t.name())
		if other == nil || other.named.TypeParams().Len() != t.named.TypeParams().Len() {
			return false
		}
		if from, _ := other.provides(m.Name); from != missing && from != fromBase || b.added[methodKey(t.name(), m.Name)] != nil {
			return false
		}
		tested, _ := b.tested.pkg.Scope().Lookup(t.name()).(*types.TypeName)
		if tested == nil {
			continue
		}
		if object, index, _ := types.LookupFieldOrMethod(types.NewPointer(tested.Type()), true, b.tested.pkg, m.Name); object != nil && len(index) == 1 {
			return false
		}
	}
	return true
}

// addMethod adds a method to a file.
func (w *skeletonWriter) addMethod(t *servicer, file *userFile, m *Method) error {
	imports := file.importSet(t.build)
	w.use(m.Service, imports)
	w.current = skeleton{w.pkg.name, t.name(), t.receiverName(imports), ""}
	w.current.ReceiverType = t.receiverType(m, imports, w.current.Receiver)
	imports.avoided[w.current.Receiver] = true
	var buffer bytes.Buffer
	if err := w.text.ExecuteTemplate(&buffer, "skeleton_method.go.tmpl", m); err != nil {
		return err
	}
	text, err := format.Source(bytes.TrimSpace(buffer.Bytes()))
	if err != nil {
		return fmt.Errorf("the template skeleton_method.go.tmpl writes what is no Go code: %w\n%s",
			err, numbered(buffer.Bytes()))
	}
	file.insertAfter(t.lastDeclaration(file), "\n\n"+string(text))
	for _, b := range w.pkg.builds {
		if slices.Contains(b.files, file) {
			b.added[methodKey(t.name(), m.Name)] = &addedMethod{t.name(), m}
		}
	}
	return nil
}

// lastDeclaration returns the node in a file behind which new methods go: the last method, or else the type.
func (t *servicer) lastDeclaration(file *userFile) ast.Node {
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

// receiverName returns what the methods of the type call it, if that is in no parameter's and no import's way.
func (t *servicer) receiverName(imports *importSet) string {
	names := []string{"s", "servicer", "self"}
	for _, m := range slices.Backward(t.methods) {
		if own := m.decl.Recv.List[0].Names; len(own) == 1 {
			names = slices.Insert(names, 0, own[0].Name)
		}
	}
	isBad := func(name string) bool {
		return name == "_" || imports.taken[name] || slices.Contains(parameterNames, name) ||
			slices.Contains(slices.Collect(maps.Values(fixedImports)), name) || types.Universe.Lookup(name) != nil
	}
	for len(names) > 1 && isBad(names[0]) {
		names = names[1:]
	}
	return names[0]
}

// parameterNames are what the built-in templates call the parameters of methods.
var parameterNames = []string{"ctx", "request", "requests", "replies"}

// receiverType returns the type as it is in the receivers of new methods. It is a pointer, unless the other methods
// have values, or values are what is used.
func (t *servicer) receiverType(m *Method, imports *importSet, receiver string) string {
	star, values := "*", 0
	for _, own := range t.methods {
		if _, isPointer := own.fn.Signature().Recv().Type().(*types.Pointer); !isPointer {
			values++
		}
	}
	if t.byValue || 2*values > len(t.methods) {
		star = ""
	}
	var parameters []string
	for parameter := range t.named.TypeParams().TypeParams() {
		name := parameter.Obj().Name()
		if name == receiver || name == m.Request.Name || name == m.Response.Name || imports.taken[name] || reservedNames[name] {
			name = "_"
		}
		parameters = append(parameters, name)
	}
	if len(parameters) == 0 {
		return star + t.name()
	}
	return star + t.name() + "[" + strings.Join(parameters, ", ") + "]"
}

// signature returns the signature of a method as it reads in a file with the usual imports.
func (w *skeletonWriter) signature(m *Method) string {
	w.use(m.Service, w.freshImports())
	var buffer bytes.Buffer
	if err := w.text.ExecuteTemplate(&buffer, "signature.go.tmpl", m); err != nil {
		return err.Error()
	}
	return buffer.String()
}

func (w *skeletonWriter) reportDifference(file *userFile, line int, t *servicer, m *Method) {
	w.report(file.path, line, "%s.%s has not the signature of %s, which is now %s", t.name(), m.Name, m.FullName, w.signature(m))
}

// reportGone says which methods of implementations look like those of RPCs that the services don't have any more.
func (w *skeletonWriter) reportGone() {
	for _, b := range w.pkg.builds {
		for _, name := range slices.Sorted(maps.Keys(w.served)) {
			t := w.pkg.servicer(b, make(map[string]*servicer), name)
			if t == nil {
				continue
			}
			var fullNames []string
			for _, s := range w.served[name] {
				fullNames = append(fullNames, s.FullName)
			}
			for _, own := range t.methods {
				if !w.looksGone(t, own) {
					continue
				}
				message := "the service " + fullNames[0] + " has"
				if len(fullNames) > 1 {
					message = "the services " + strings.Join(fullNames, ", ") + " have"
				}
				w.report(own.file.path, own.file.line(own.decl.Pos()), "%s.%s: %s no such method any more; remove it or make it unexported",
					name, own.decl.Name.Name, message)
			}
		}
	}
}

// looksGone says whether a method may have implemented an RPC, and is of no use for anything else: it is exported,
// takes a context, and has to do with messages of the services' packages, or with streams.
func (w *skeletonWriter) looksGone(t *servicer, own *userMethod) bool {
	parameters := own.fn.Signature().Params()
	if !own.fn.Exported() || parameters.Len() < 2 || types.TypeString(parameters.At(0).Type(), nil) != "context.Context" {
		return false
	}
	concerned := false
	for _, s := range w.served[t.name()] {
		if slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Name == own.fn.Name() }) {
			return false
		}
		concerned = concerned || mentions(own.fn.Signature(), string(s.File.source.GoImportPath))
	}
	return (concerned || mentions(own.fn.Signature(), runtimePackage)) && !t.isNeeded(own)
}

// mentions says whether a type of a package is among the parameters or results.
func mentions(signature *types.Signature, importPath string) bool {
	found := false
	types.TypeString(signature, func(pkg *types.Package) string {
		found = found || pkg.Path() == importPath
		return ""
	})
	return found
}

// isNeeded says whether the type is used as an interface that has the method, or implements one of a package that it
// can see.
func (t *servicer) isNeeded(own *userMethod) bool {
	isIn := func(typ types.Type) bool {
		of, ok := typ.Underlying().(*types.Interface)
		signature := methodOf(of, own.fn.Name())
		return ok && signature != nil && types.Identical(signature, own.fn.Signature())
	}
	for _, u := range t.build.plain.uses() {
		if u.typ.Obj() == t.named.Obj() && isIn(u.of) {
			return true
		}
	}
	pkg := t.named.Obj().Pkg()
	for _, visible := range append(slices.Clone(pkg.Imports()), pkg) {
		for _, name := range visible.Scope().Names() {
			object, ok := visible.Scope().Lookup(name).(*types.TypeName)
			if !ok || !isIn(object.Type()) {
				continue
			}
			of := object.Type().Underlying().(*types.Interface)
			if types.Implements(types.NewPointer(t.named), of) {
				return true
			}
		}
	}
	return false
}
