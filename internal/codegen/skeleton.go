package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"slices"
	"text/template"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton"
)

// skeletons writes an implementation of each service into a Go package of the user's, or adds to the one that is there
// what it lacks. It writes there itself: protoc and buf don't tell a plugin where they write its response to, so that a
// response could replace any file of that name.
func skeletons(files []*File, o *options, reports io.Writer, cache *skeleton.Cache) error {
	if len(files) == 0 {
		return nil
	}
	plan, err := prepareSkeletons(files, o, cache)
	if err != nil {
		return err
	}
	if err := plan.Save(); err != nil {
		return fmt.Errorf("option skeleton=%s: %w", o.skeleton, err)
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(reports, note)
	}
	return nil
}

// prepareSkeletons decides what is to be written, and what the user is to be told.
func prepareSkeletons(files []*File, o *options, cache *skeleton.Cache) (*skeleton.Plan, error) {
	generated, err := generatedPackages(files, o)
	if err != nil {
		return nil, err
	}
	pkg, err := skeleton.Read(o.skeleton, generated, files[0].imports.PackageNames(), cache)
	if err != nil {
		return nil, fmt.Errorf("option skeleton=%s: %w", o.skeleton, err)
	}
	text, err := newSkeletonText(o)
	if err != nil {
		return nil, err
	}
	var services []*skeleton.Service
	for _, file := range files {
		for _, service := range file.Services {
			services = append(services, text.describe(service))
		}
	}
	return pkg.Implement(services, text)
}

// generatedPackages returns what the plugin generates for the files, by import path, with the messages that it needs.
func generatedPackages(files []*File, o *options) (map[string]*skeleton.Generated, error) {
	for _, file := range files {
		file.Servicers, file.Registrars, file.Fakes = true, true, false
	}
	outputs, err := render(files, o)
	if err != nil {
		return nil, err
	}
	packages := make(map[string]*skeleton.Generated)
	in := func(importPath, name string) *skeleton.Generated {
		if packages[importPath] == nil {
			packages[importPath] = &skeleton.Generated{Name: name, Files: make(map[string][]byte)}
		}
		return packages[importPath]
	}
	for _, output := range outputs {
		in(output.file.ImportPath, output.file.PackageName).Files[output.name] = output.content
	}
	for _, file := range files {
		for _, service := range file.Services {
			for _, m := range service.Methods {
				for _, message := range []Symbol{m.Request, m.Response} {
					pkg := in(message.ImportPath, file.imports.PackageName(message.ImportPath))
					if !slices.Contains(pkg.Messages, message.Name) {
						pkg.Messages = append(pkg.Messages, message.Name)
					}
				}
			}
		}
	}
	return packages, nil
}

// skeletonText writes the code of implementations by templates.
type skeletonText struct {
	templates *template.Template
	services  map[*skeleton.Service]*Service
	methods   map[*skeleton.Method]*Method

	// Of the code that is being written:
	of      skeleton.Implementation
	imports *gofile.Imports
}

func newSkeletonText(o *options) (*skeletonText, error) {
	t := &skeletonText{services: make(map[*skeleton.Service]*Service), methods: make(map[*skeleton.Method]*Method)}
	text, err := parseTemplates(o.templateDir, template.FuncMap{
		"import":   func(path string) string { return t.imports.Use(path) },
		"runtime":  func() string { return t.imports.Use(gofile.RuntimePackage) },
		"imports":  func() string { return importBlock },
		"skeleton": func() skeleton.Implementation { return t.of },
	})
	if err != nil {
		return nil, err
	}
	t.templates = text.root
	return t, nil
}

// describe tells the package skeleton of a service, and remembers which one that is.
func (t *skeletonText) describe(s *Service) *skeleton.Service {
	described := &skeleton.Service{
		FullName: s.FullName, Name: s.Name, Package: s.File.ImportPath, PackageName: s.File.PackageName,
		Messages: string(s.File.source.GoImportPath), Servicer: s.Servicer, Unimplemented: s.Unimplemented,
		MustEmbed: s.MustEmbed, RequireEmbedding: s.File.RequireEmbedding,
	}
	t.services[described] = s
	for _, m := range s.Methods {
		method := &skeleton.Method{Service: described, Name: m.Name, FullName: m.FullName, Messages: [2]string{m.Request.Name, m.Response.Name}}
		described.Methods = append(described.Methods, method)
		t.methods[method] = m
	}
	return described
}

// File implements skeleton.Text.
func (t *skeletonText) File(s *skeleton.Service, of skeleton.Implementation, imports *gofile.Imports) ([]byte, error) {
	const name = "skeleton.go.tmpl"
	t.of = of
	text, err := t.execute(name, t.services[s].File, imports, t.services[s])
	if err != nil {
		return nil, err
	}
	return formatText(name, bytes.Replace(text, []byte(importBlock), []byte(imports.Block()), 1))
}

// Method implements skeleton.Text.
func (t *skeletonText) Method(m *skeleton.Method, of skeleton.Implementation, imports *gofile.Imports) (string, error) {
	const name = "skeleton_method.go.tmpl"
	t.of = of
	text, err := t.execute(name, t.methods[m].Service.File, imports, t.methods[m])
	if err != nil {
		return "", err
	}
	formatted, err := formatText(name, bytes.TrimSpace(text))
	return string(formatted), err
}

// Signature implements skeleton.Text.
func (t *skeletonText) Signature(m *skeleton.Method, imports *gofile.Imports) string {
	text, err := t.execute("signature.go.tmpl", t.methods[m].Service.File, imports, t.methods[m])
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// execute executes a template. The symbols of a .proto file then refer to the imports of another file than the one with
// its own generated code.
func (t *skeletonText) execute(name string, file *File, imports *gofile.Imports, dot any) ([]byte, error) {
	*file.imports = *imports // The maps in it are shared from here on.
	t.imports = imports
	var buffer bytes.Buffer
	err := t.templates.ExecuteTemplate(&buffer, name, dot)
	return buffer.Bytes(), err
}

func formatText(template string, text []byte) ([]byte, error) {
	formatted, err := format.Source(text)
	if err != nil {
		return nil, fmt.Errorf("the template %s writes what is no Go code: %w\n%s", template, err, numbered(text))
	}
	return formatted, nil
}
