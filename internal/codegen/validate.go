package codegen

import (
	"fmt"
	"go/token"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// validate finds what a Go compiler would refuse in the generated files, before they are written: there the user would
// read of it in a file that says DO NOT EDIT, without a word of the .proto file that is to blame.
func validate(plugin *protogen.Plugin, files []*File, o *options) error {
	v := &validator{options: o, plugin: plugin, mistakes: mistakes{reported: make(map[string]bool)}}
	v.checkOptionNames()
	for _, file := range files {
		v.checkPackage(file)
		v.checkDirectory(file)
	}
	clashes := newClashes(&v.mistakes)
	for _, file := range files {
		for _, service := range file.Services {
			clashes.checkMethods(service)
			for _, method := range service.Methods {
				v.checkImports(method)
				checkExecutor(method, &v.mistakes)
			}
			if o.skeleton == "" {
				clashes.declareService(service)
			}
		}
	}
	if o.skeleton == "" {
		clashes.checkPeers(plugin)
	}
	return v.err()
}

// validator checks a request apart from clashes of names.
type validator struct {
	mistakes
	options *options
	plugin  *protogen.Plugin
}

// checkPackage refuses names of Go packages that no Go file can have or import.
func (v *validator) checkPackage(f *File) {
	location := f.source.Desc.SourceLocations().ByPath(protoreflect.SourcePath{8, 11}) // options, go_package
	if !token.IsIdentifier(f.PackageName) || f.PackageName == "_" {
		v.addAt(f.Source, location, fmt.Sprintf(
			"%q cannot be the name of a Go package: give another one behind a semicolon in go_package, as in %q",
			f.PackageName, f.ImportPath+";name"))
	}
	if !gofile.IsImportPath(f.ImportPath) {
		v.addAt(f.Source, location, fmt.Sprintf(
			"%q cannot be a Go import path: change the option go_package, or give another one with the option M%s=IMPORT_PATH",
			f.ImportPath, f.Source))
	}
}

// checkDirectory refuses a package of our own where another one of the request is: Go has one package to a directory. It
// is for package_suffix; protogen compares what the .proto files say.
func (v *validator) checkDirectory(f *File) {
	for _, other := range v.plugin.Files {
		if string(other.GoImportPath) == f.ImportPath && string(other.GoPackageName) != f.PackageName {
			v.addAt(f.Source, protoreflect.SourceLocation{}, fmt.Sprintf("the option package_suffix=%s puts the Go package %s into %q, "+
				"where the package %s of %s is: use another suffix, or change the go_package of %s",
				v.options.packageSuffix, f.PackageName, f.ImportPath, other.GoPackageName, other.Desc.Path(), other.Desc.Path()))
		}
	}
}

// checkImports refuses messages of packages that no other package can import.
func (v *validator) checkImports(m *Method) {
	for _, message := range []Symbol{m.Request, m.Response} {
		var reason string
		switch name := m.Service.File.imports.PackageName(message.ImportPath); {
		case message.ImportPath == m.Service.File.ImportPath:
			continue
		case strings.HasPrefix(message.ImportPath, "."), strings.HasPrefix(message.ImportPath, "/"),
			!gofile.IsImportPath(message.ImportPath):
			reason = "which is no import path that another Go package could use"
		case name == "main":
			reason = "which is a program, and cannot be imported"
		default:
			continue
		}
		path, location := locate(m.source.Desc)
		v.addAt(path, location, fmt.Sprintf("the method %s needs the message %s of the Go package %q, %s: "+
			"change go_package where the message is declared, or use the option M<FILE>=IMPORT_PATH",
			m.FullName, message.Name, message.ImportPath, reason))
	}
}

// checkOptionNames finds services and methods that an option names and that do not exist. It can tell only for the
// proto packages of this request: buf asks for each directory apart, with the same options every time.
func (v *validator) checkOptionNames() {
	packages, known := v.namesInRequest()
	check := func(option, name string) {
		service := protoreflect.FullName(name).Parent()
		if !known[name] && (packages[string(service)] || packages[string(service.Parent())]) {
			v.add(fmt.Sprintf("option %s: the .proto files have no service or method %s", option, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.options.services)) {
		check("services="+name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(v.options.goNames)) {
		check("rename="+name+":"+v.options.goNames[name], name)
	}
}

// namesInRequest returns the proto packages that are generated, and the services and methods in them.
func (v *validator) namesInRequest() (packages, known map[string]bool) {
	packages, known = make(map[string]bool), make(map[string]bool)
	for _, file := range v.plugin.Files {
		if !file.Generate {
			continue
		}
		packages[string(file.Desc.Package())] = true
		for _, service := range file.Services {
			known[string(service.Desc.FullName())] = true
			for _, method := range service.Methods {
				known[string(method.Desc.FullName())] = true
			}
		}
	}
	return packages, known
}
