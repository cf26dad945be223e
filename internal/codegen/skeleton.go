package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

// skeleton is what the skeleton templates know beside the model.
type skeleton struct {
	PackageName  string // of the user's package
	Type         string // that implements the servicer
	Receiver     string // of its methods
	ReceiverType string // the type as it is in receivers: with a star, or with type parameters
}

// skeletonWriter writes implementations into one directory of the user's.
type skeletonWriter struct {
	pkg      *userPackage
	text     *template.Template
	current  skeleton
	imports  *importSet // of the file that is being written
	created  []*createdFile
	newNames map[string]bool       // of types that this run adds
	served   map[string][]*Service // by the name of the type
	notes    []string              // for the user, once everything is written

	packageNames map[string]string // of the packages in the request, by import path
}

// createdFile is a file that is not there yet.
type createdFile struct {
	name    string
	content []byte
}

// addedMethod is a method that this run adds.
type addedMethod struct {
	typ    string
	method *Method
}

// skeletons writes an implementation of each service, or adds to the one that is there what it lacks. What the user
// has written is copied byte by byte; what has to be changed in it is reported, not done.
//
// It writes into the directory itself. protoc and buf don't tell a plugin where they write its response to, so that a
// response could replace any file of that name.
func skeletons(files []*File, o *options, reports io.Writer, cache *packageCache) error {
	if len(files) == 0 {
		return nil
	}
	w, err := prepareSkeletons(files, o, cache)
	if err != nil {
		return err
	}
	if err := w.save(); err != nil {
		return fmt.Errorf("option skeleton=%s: %w", o.skeleton, err)
	}
	for _, note := range w.notes {
		fmt.Fprintln(reports, note)
	}
	return nil
}

// prepareSkeletons decides what is to be written, and what the user is to be told.
func prepareSkeletons(files []*File, o *options, cache *packageCache) (*skeletonWriter, error) {
	w := &skeletonWriter{
		newNames: make(map[string]bool), served: make(map[string][]*Service),
		packageNames: files[0].imports.packageNames,
	}
	added, err := generatedPackages(files, o, cache)
	if err != nil {
		return nil, err
	}
	if w.pkg, err = readUserPackage(o.skeleton, added, w.packageNames, cache); err != nil {
		return nil, fmt.Errorf("option skeleton=%s: %w", o.skeleton, err)
	}
	if err := w.parseTemplates(o); err != nil {
		return nil, err
	}
	for _, file := range files {
		for _, service := range file.Services {
			if err := w.write(service); err != nil {
				return nil, fmt.Errorf("skeleton of %s: %w", service.FullName, err)
			}
		}
	}
	w.reportGone()
	return w, nil
}

func (w *skeletonWriter) parseTemplates(o *options) error {
	text, err := parseTemplates(o.templateDir, template.FuncMap{
		"import":   func(path string) string { return w.imports.use(path) },
		"runtime":  func() string { return w.imports.use(runtimePackage) },
		"imports":  func() string { return importBlock },
		"skeleton": func() skeleton { return w.current },
	})
	if err != nil {
		return err
	}
	w.text = text.root
	return nil
}

func (w *skeletonWriter) write(s *Service) error {
	w.use(s, w.freshImports())
	found := false
	for _, b := range w.pkg.builds {
		servicers, elsewhere := w.pkg.servicers(b, s)
		found = found || len(servicers) > 0 || elsewhere != ""
		if len(servicers) == 0 && elsewhere != "" {
			w.report(w.pkg.dir, 0, "%s is implemented by %s, which is not this package's to complete: "+
				"name the directory of that package", s.FullName, elsewhere)
		}
		for _, t := range servicers {
			if err := w.complete(s, t); err != nil {
				return err
			}
		}
	}
	if found {
		return nil
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
	if w.hasFile(fileName) {
		fileName = snakeCase(name) + "_servicer.go"
	}
	if w.hasFile(fileName) {
		return fmt.Errorf("%s exists, and does not implement %s: rename it, "+
			"or declare in it which type is the servicer: var _ %s.%s = (*YourType)(nil)",
			filepath.Join(w.pkg.dir, fileName), s.Servicer, s.File.PackageName, s.Servicer)
	}
	imports := w.freshImports()
	w.use(s, imports)
	w.current = skeleton{w.pkg.name, name, "s", "*" + name}
	var buffer bytes.Buffer
	if err := w.text.ExecuteTemplate(&buffer, "skeleton.go.tmpl", s); err != nil {
		return err
	}
	source := bytes.Replace(buffer.Bytes(), []byte(importBlock), []byte(imports.block()), 1)
	content, err := format.Source(source)
	if err != nil {
		return fmt.Errorf("the template skeleton.go.tmpl writes what is no Go code: %w\n%s", err, numbered(source))
	}
	w.created = append(w.created, &createdFile{fileName, content})
	w.report(filepath.Join(w.pkg.dir, fileName), 0, "%s is a new implementation of %s to fill in", name, s.FullName)
	return nil
}

// freshImports returns the imports of a new file in the user's package: none yet.
func (w *skeletonWriter) freshImports() *importSet {
	imports := newImportSet(w.pkg.importPath, w.packageNames)
	imports.avoid(w.pkg.declared, w.newNames)
	return imports
}

// use lets the symbols of a service refer to the imports of another file than the one with the service's own code.
func (w *skeletonWriter) use(s *Service, imports *importSet) {
	*s.File.imports = *imports // The maps in it are shared from here on.
	w.imports = imports
}

func (w *skeletonWriter) isTaken(name string) bool { return w.pkg.taken[name] || w.newNames[name] }

func (w *skeletonWriter) hasFile(name string) bool {
	return w.pkg.hasFile(name) ||
		slices.ContainsFunc(w.created, func(f *createdFile) bool { return f.name == name })
}

// report has something to say to the user, on stderr, which protoc and buf pass on. It does not fail the run: other
// plugins in it have nothing to do with it. What holds in several builds is said once.
func (w *skeletonWriter) report(path string, line int, format string, args ...any) {
	position := path
	if line > 0 {
		position = fmt.Sprintf("%s:%d", path, line)
	}
	note := fmt.Sprintf("%s: %s", position, fmt.Sprintf(format, args...))
	if !slices.Contains(w.notes, note) {
		w.notes = append(w.notes, note)
	}
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
