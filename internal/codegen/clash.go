package codegen

import (
	"cmp"
	"errors"
	"fmt"
	"go/token"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxReports is how many mistakes are shown at once: the rest is likely to be more of the same.
const maxReports = 10

// validate finds what a Go compiler would refuse in the generated files, before they are written: there the user would
// read of it in a file that says DO NOT EDIT, without a word of the .proto file that is to blame.
func validate(plugin *protogen.Plugin, files []*File, o *options) error {
	v := &validator{options: o, declared: make(map[symbolKey]declaration), reported: make(map[string]bool)}
	v.checkOptionNames(plugin)
	for _, file := range files {
		v.checkPackage(file)
		v.checkDirectory(file, plugin)
	}
	for _, file := range files {
		for _, service := range file.Services {
			v.checkMethods(service)
			for _, method := range service.Methods {
				v.checkImports(method)
				v.checkExecutor(method)
			}
			if o.skeleton == "" {
				v.declareService(service)
			}
		}
	}
	if o.skeleton == "" {
		v.checkPeers(plugin)
	}
	return v.err()
}

// validator gathers mistakes.
type validator struct {
	options  *options
	declared map[symbolKey]declaration // by the generated files
	reported map[string]bool           // messages, and pairs of proto symbols that clash: each is shown once
	mistakes []mistake
}

type mistake struct {
	path    string
	line    int
	message string
}

// symbolKey identifies what a Go package declares.
type symbolKey struct {
	importPath string
	name       string
}

// declaration is a Go name with what it is declared for.
type declaration struct {
	what       string // "the interface of service a.Foo"
	descriptor protoreflect.Descriptor
}

// checkPackage refuses names of Go packages that no Go file can have or import.
func (v *validator) checkPackage(f *File) {
	location := f.source.Desc.SourceLocations().ByPath(protoreflect.SourcePath{8, 11}) // options, go_package
	if !token.IsIdentifier(f.PackageName) || f.PackageName == "_" {
		v.addAt(f.Source, location, fmt.Sprintf(
			"%q cannot be the name of a Go package: give another one behind a semicolon in go_package, as in %q",
			f.PackageName, f.ImportPath+";name"))
	}
	if strings.ContainsFunc(f.ImportPath, invalidInImportPath) {
		v.addAt(f.Source, location, fmt.Sprintf(
			"%q cannot be a Go import path: change the option go_package, or give another one with the option M%s=IMPORT_PATH",
			f.ImportPath, f.Source))
	}
}

// checkDirectory refuses a package of our own where another one of the request is: Go has one package to a directory. It
// is for package_suffix; protogen compares what the .proto files say.
func (v *validator) checkDirectory(f *File, plugin *protogen.Plugin) {
	for _, other := range plugin.Files {
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
			strings.ContainsFunc(message.ImportPath, invalidInImportPath):
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

// invalidInImportPath says what the go command refuses in an import path: it takes ASCII letters, digits and a few marks
// (golang.org/x/mod/module.CheckImportPath).
func invalidInImportPath(r rune) bool {
	isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !isLetter && (r < '0' || r > '9') && !strings.ContainsRune("/-._~+", r)
}

// checkMethods finds methods of a service that get the same Go name.
func (v *validator) checkMethods(s *Service) {
	seen := make(map[string]*Method)
	for _, m := range s.Methods {
		own := declaration{"the method " + m.FullName, m.source.Desc}
		if first, ok := seen[m.Name]; ok {
			v.clash(m.Name, own, declaration{"the method " + first.FullName, first.source.Desc}, rename(m.FullName))
			continue
		}
		seen[m.Name] = m
		if s.File.RequireEmbedding && m.Name == s.Unimplemented {
			base := declaration{"the base to embed for the service " + s.FullName, s.source.Desc}
			v.clash(m.Name, own, base, rename(m.FullName))
		}
	}
}

// rename is the remedy against a clash of two names that both come from services.
func rename(fullName string) string {
	return "change one of the names in the .proto file, or give it another name in Go with the option rename=" +
		fullName + ":NAME"
}

// renameOrMove is the remedy against a clash with a name that comes from a message.
func renameOrMove(service protoreflect.FullName) string {
	return fmt.Sprintf("give the service another name in Go with the option rename=%s:NAME, "+
		"or put the code into a package of its own with the option package_suffix=SUFFIX", service)
}

// declareService enters what is generated for a service, and finds clashes with other services.
func (v *validator) declareService(s *Service) {
	for _, name := range s.declarations() {
		v.declare(s, name, declaration{"the service " + s.FullName, s.source.Desc})
	}
	seen := make(map[string]bool) // Two methods of one name are a mistake that has been found already.
	for _, m := range s.Methods {
		if !seen[m.Name] {
			for _, name := range m.declarations() {
				v.declare(s, name, declaration{"the method " + m.FullName, m.source.Desc})
			}
		}
		seen[m.Name] = true
	}
}

func (v *validator) declare(s *Service, name string, d declaration) {
	key := symbolKey{s.File.ImportPath, name}
	if first, ok := v.declared[key]; ok {
		v.clash(name, d, first, rename(s.FullName))
		return
	}
	v.declared[key] = d
}

// checkPeers finds clashes with what protoc-gen-go and protoc-gen-go-grpc declare in the same packages: the one is
// always there, the other often is, since users move service by service.
func (v *validator) checkPeers(plugin *protogen.Plugin) {
	packages := make(map[string]bool)
	for key := range v.declared {
		packages[key.importPath] = true
	}
	for _, file := range plugin.Files {
		importPath := string(file.GoImportPath)
		if !packages[importPath] {
			continue
		}
		forEachPeerName(file, func(name, kind string, descriptor protoreflect.Descriptor) {
			own, ok := v.declared[symbolKey{importPath, name}]
			if !ok {
				return
			}
			service := own.descriptor
			if method, ok := service.(protoreflect.MethodDescriptor); ok {
				service = method.Parent()
			}
			peer := declaration{fmt.Sprintf("the %s %s", kind, descriptor.FullName()), descriptor}
			v.clash(name, own, peer, renameOrMove(service.FullName()))
		})
	}
}

// clash reports that two declarations get the same Go name.
func (v *validator) clash(goName string, a, b declaration, remedy string) {
	pair := string(a.descriptor.FullName()) + " " + string(b.descriptor.FullName())
	if v.reported[pair] {
		return
	}
	v.reported[pair] = true
	path, location := locate(a.descriptor)
	v.addAt(path, location, fmt.Sprintf("%s and %s (%s) both become %s in Go: %s",
		a.what, b.what, position(locate(b.descriptor)), goName, remedy))
}

func (v *validator) addAt(path string, location protoreflect.SourceLocation, message string) {
	message = position(path, location) + ": " + message
	if !v.reported[message] {
		v.reported[message] = true
		v.mistakes = append(v.mistakes, mistake{path, location.StartLine, message})
	}
}

func (v *validator) err() error {
	slices.SortStableFunc(v.mistakes, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line))
	})
	var lines []string
	for i, m := range v.mistakes {
		if i == maxReports {
			lines = append(lines, fmt.Sprintf("and %d more", len(v.mistakes)-maxReports))
			break
		}
		lines = append(lines, m.message)
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func locate(d protoreflect.Descriptor) (path string, location protoreflect.SourceLocation) {
	file := d.ParentFile()
	return file.Path(), file.SourceLocations().ByDescriptor(d)
}

// position is path:line:column, or the path alone: protoc sends no line numbers of files that are only imported.
func position(path string, location protoreflect.SourceLocation) string {
	if location.Path == nil {
		return path
	}
	return fmt.Sprintf("%s:%d:%d", path, location.StartLine+1, location.StartColumn+1)
}

// checkOptionNames finds services and methods that an option names and that do not exist. It can tell only for the
// proto packages of this request: buf asks for each directory apart, with the same options every time.
func (v *validator) checkOptionNames(plugin *protogen.Plugin) {
	packages := make(map[string]bool)
	known := make(map[string]bool)
	for _, file := range plugin.Files {
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
	check := func(option, name string) {
		service := protoreflect.FullName(name).Parent()
		if !known[name] && (packages[string(service)] || packages[string(service.Parent())]) {
			message := fmt.Sprintf("option %s: the .proto files have no service or method %s", option, name)
			v.mistakes = append(v.mistakes, mistake{message: message})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.options.services)) {
		check("services="+name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(v.options.goNames)) {
		check("rename="+name+":"+v.options.goNames[name], name)
	}
}
