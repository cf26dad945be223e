package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"go/token"
	"io"
	"path/filepath"
	"strings"
	"text/template"
	"unicode"
)

// skeleton is what the skeleton templates know beside the model.
type skeleton struct {
	PackageName string // of the user's package
	Type        string // that implements the servicer
	Receiver    string // of its methods
}

// skeletonWriter writes implementations into one directory of the user's.
type skeletonWriter struct {
	reports  io.Writer
	pkg      *userPackage
	text     *template.Template
	current  skeleton
	imports  *importSet // of the file that is being written
	outputs  []*output
	newNames map[string]bool // of types that this run adds

	packageNames map[string]string // of the packages in the request, by import path
}

// skeletons writes an implementation of each service, or adds to the one that is there what it lacks. What the user
// has written is copied byte by byte; what has to be changed in it is reported, not done.
func skeletons(files []*File, o *options, reports io.Writer) ([]*output, error) {
	if len(files) == 0 {
		return nil, nil
	}
	packageNames := files[0].imports.packageNames
	pkg, err := readUserPackage(o.skeleton, packageNames)
	if err != nil {
		return nil, fmt.Errorf("option skeleton=%s: %w", o.skeleton, err)
	}
	w := &skeletonWriter{reports: reports, pkg: pkg, newNames: make(map[string]bool), packageNames: packageNames}
	text, err := parseTemplates(o.templateDir, template.FuncMap{
		"import":   func(path string) string { return w.imports.use(path) },
		"runtime":  func() string { return w.imports.use(runtimePackage) },
		"imports":  func() string { return importBlock },
		"skeleton": func() skeleton { return w.current },
	})
	if err != nil {
		return nil, err
	}
	w.text = text.root
	for _, file := range files {
		for _, service := range file.Services {
			if err := w.write(service); err != nil {
				return nil, fmt.Errorf("skeleton of %s: %w", service.FullName, err)
			}
		}
	}
	for _, file := range pkg.files {
		if !file.changed() {
			continue
		}
		content, err := file.edited()
		if err != nil {
			return nil, err
		}
		w.outputs = append(w.outputs, &output{filepath.Base(file.path), content, files[0]})
	}
	return w.outputs, nil
}

func (w *skeletonWriter) write(s *Service) error {
	w.use(s, w.freshImports())
	if typ := w.pkg.findServicer(s); typ != nil {
		return w.complete(s, typ)
	}
	return w.create(s)
}

// create writes a file with a new implementation.
func (w *skeletonWriter) create(s *Service) error {
	name := s.Name
	if w.isTaken(name) {
		name = s.Servicer
	}
	if w.isTaken(name) {
		return fmt.Errorf("the package in %s declares both %s and %s for something else: "+
			"give the service another name in Go with the option rename=%s:NAME",
			w.pkg.dir, s.Name, s.Servicer, s.FullName)
	}
	w.newNames[name] = true
	fileName := snakeCase(name) + ".go"
	if w.pkg.hasFile(fileName) {
		fileName = snakeCase(name) + "_servicer.go"
	}
	if w.pkg.hasFile(fileName) {
		return fmt.Errorf("%s exists, and does not implement %s: rename it, "+
			"or declare in it which type is the servicer: var _ %s.%s = (*YourType)(nil)",
			filepath.Join(w.pkg.dir, fileName), s.Servicer, s.File.PackageName, s.Servicer)
	}
	imports := w.freshImports()
	w.use(s, imports)
	w.current = skeleton{w.pkg.name(), name, "s"}
	var buffer bytes.Buffer
	if err := w.text.ExecuteTemplate(&buffer, "skeleton.go.tmpl", s); err != nil {
		return err
	}
	source := bytes.Replace(buffer.Bytes(), []byte(importBlock), []byte(imports.block()), 1)
	content, err := format.Source(source)
	if err != nil {
		return fmt.Errorf("the template skeleton.go.tmpl writes what is no Go code: %w\n%s", err, numbered(source))
	}
	w.outputs = append(w.outputs, &output{fileName, content, s.File})
	w.pkg.claim(fileName)
	w.report(filepath.Join(w.pkg.dir, fileName), 0, "%s is a new implementation of %s to fill in", name, s.FullName)
	return nil
}

// complete adds those methods to an implementation that it lacks.
func (w *skeletonWriter) complete(s *Service, typ *userType) error {
	w.reportDifferences(s, typ)
	file := typ.homeFile(s)
	imports := file.importSet()
	w.use(s, imports)
	w.current = skeleton{w.pkg.name(), typ.name, typ.receiverName(imports)}
	var added []string
	for _, m := range s.Methods {
		if typ.provides(m) {
			continue
		}
		var buffer bytes.Buffer
		if err := w.text.ExecuteTemplate(&buffer, "skeleton_method.go.tmpl", m); err != nil {
			return err
		}
		text, err := format.Source(bytes.TrimSpace(buffer.Bytes()))
		if err != nil {
			return fmt.Errorf("the template skeleton_method.go.tmpl writes what is no Go code: %w\n%s",
				err, numbered(buffer.Bytes()))
		}
		file.insertAfter(typ.lastDeclaration(file), "\n\n"+string(text))
		added = append(added, m.Name)
	}
	if len(added) > 0 {
		w.report(file.path, 0, "added %s to %s", strings.Join(added, ", "), typ.name)
	}
	return nil
}

// reportDifferences says which methods of an implementation the service does not have, or has in another shape.
func (w *skeletonWriter) reportDifferences(s *Service, typ *userType) {
	methods := make(map[string]*Method)
	for _, m := range s.Methods {
		methods[m.Name] = m
	}
	for _, own := range typ.methods {
		m, ok := methods[own.name]
		switch {
		case !ok && own.looksLikeRPC(s):
			w.report(own.file.path, own.line(),
				"%s.%s: the service %s has no such method any more; remove it or make it unexported",
				typ.name, own.name, s.FullName)
		case ok && own.signature() != wantedSignature(m):
			w.report(own.file.path, own.line(), "%s.%s has not the signature of %s, which is now %s",
				typ.name, own.name, m.FullName, w.signature(m))
		}
	}
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

// freshImports returns the imports of a new file in the user's package: none yet.
func (w *skeletonWriter) freshImports() *importSet {
	imports := newImportSet(w.pkg.importPath(), w.packageNames)
	imports.avoid(w.pkg.declared, w.newNames)
	return imports
}

// use lets the symbols of a service refer to the imports of another file than the one with the service's own code.
func (w *skeletonWriter) use(s *Service, imports *importSet) {
	*s.File.imports = *imports // The maps in it are shared from here on.
	w.imports = imports
}

func (w *skeletonWriter) isTaken(name string) bool { return w.pkg.declared[name] || w.newNames[name] }

// report tells the user, on stderr, which protoc and buf pass on. It does not fail the run: other plugins in it have
// nothing to do with it.
func (w *skeletonWriter) report(path string, line int, format string, args ...any) {
	position := path
	if line > 0 {
		position = fmt.Sprintf("%s:%d", path, line)
	}
	fmt.Fprintf(w.reports, "%s: %s\n", position, fmt.Sprintf(format, args...))
}

// Generated is a symbol of the service's generated code, for code in another package.
func (s *Service) Generated(name string) Symbol {
	return Symbol{name, s.File.ImportPath, s.File.imports}
}

// snakeCase turns a Go name into a file name: HTTPGreeter becomes http_greeter.
func snakeCase(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && runes[i-1] != '_' &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	// A file of that ending would be built for some platform only, or for tests.
	trimmed := strings.TrimRight(b.String(), "_")
	return trimmed + platformGuard(trimmed)
}

// packageNameFor makes a package name of a directory's.
func packageNameFor(dir string) string {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		absolute = dir
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, filepath.Base(absolute))
	if !token.IsIdentifier(name) {
		return "servicer"
	}
	return name
}
