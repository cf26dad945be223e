package codegen

import (
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// File is what the templates see of a .proto file. Its exported fields and methods are what templates of users may
// rely on; docs/generator.md describes them.
type File struct {
	Source      string // path of the .proto file, as protoc was given it
	PackageName string // of the Go package that the generated code belongs to
	ImportPath  string // of the same
	License     string // comments above everything else, as Go comments
	PackageDoc  string // documentation of the package, as Go comments; empty in the messages' own package
	Version     string // of the plugin; empty unless the user wants it in the header
	Deprecated  bool
	Services    []*Service

	Servicers  bool // whether to emit the part of that name
	Registrars bool
	Fakes      bool

	RequireEmbedding bool

	RuntimeModule string // where the runtime comes from

	imports *gofile.Imports
	source  *protogen.File
	prefix  string // path of the generated file, up to where the plugin's own suffix begins
}

// Service is what the templates see of a service.
type Service struct {
	File        *File
	Name        string // in Go
	ProtoName   string
	FullName    string // with the proto package
	Index       int    // among the services of the file
	Deprecated  bool
	Doc         Doc
	Deprecation Doc // ends the comments on the other declarations; empty unless the service or file is deprecated
	Methods     []*Method
	Descriptor  Symbol // the variable of protoc-gen-go that holds the file's descriptor

	// Names of what is generated.
	Servicer      string
	Unimplemented string
	Registrar     string
	MustEmbed     string // the method that only Unimplemented has
	Fake          string
	FakeRequests  string
	NameConstant  string

	source *protogen.Service
}

// Method is what the templates see of an RPC.
type Method struct {
	Service          *Service
	Name             string // in Go
	ProtoName        string
	FullName         string // with the proto package and the service
	Path             string // as it goes over the wire: /package.Service/Method
	Deprecated       bool
	Doc              Doc
	Request          Symbol
	Response         Symbol
	StreamsRequests  bool
	StreamsResponses bool
	Executor         string // Go name in the runtime of where handlers run; empty unless the method says so

	// Names of what is generated.
	NameConstant string
	FakeField    string
	FakeCalls    string
	FakeCall     string

	source *protogen.Method
}

// Symbol is something that a Go package declares. In a template it prints as the Go code that refers to it, and the
// file then imports the package.
type Symbol struct {
	Name       string
	ImportPath string

	imports *gofile.Imports
}

// String returns the Go code that refers to the symbol, and notes the import.
func (s Symbol) String() string { return s.imports.Qualify(s.ImportPath, s.Name) }

func (f *File) symbol(ident protogen.GoIdent) Symbol {
	return Symbol{ident.GoName, string(ident.GoImportPath), f.imports}
}

// Generated is a symbol of the service's generated code, for code in another package.
func (s *Service) Generated(name string) Symbol {
	return Symbol{name, s.File.ImportPath, s.File.imports}
}

// StreamsRequests says whether any method of the service does.
func (s *Service) StreamsRequests() bool {
	return slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.StreamsRequests })
}

// Cardinality names the shape of the RPC, request first, as the constructors of the runtime do.
func (m *Method) Cardinality() string {
	names := [2]string{"Unary", "Stream"}
	var request, response int
	if m.StreamsRequests {
		request = 1
	}
	if m.StreamsResponses {
		response = 1
	}
	return names[request] + names[response]
}

// newFile builds the model of a file that has services to generate code for.
func newFile(source *protogen.File, packageNames map[string]string, o *options) *File {
	f := &File{
		Source:           strings.Map(printable, source.Desc.Path()),
		PackageName:      string(source.GoPackageName),
		ImportPath:       string(source.GoImportPath),
		License:          license(source),
		Deprecated:       isDeprecated(source.Proto.GetOptions()),
		Servicers:        o.parts[partServicers],
		Registrars:       o.parts[partRegistrars],
		Fakes:            o.parts[partFakes],
		RequireEmbedding: o.requireEmbedding,
		RuntimeModule:    path.Dir(gofile.RuntimePackage),
		source:           source,
		prefix:           source.GeneratedFilenamePrefix,
	}
	if o.versionInHeader {
		f.Version = version()
	}
	if o.packageSuffix != "" {
		f.PackageName += o.packageSuffix
		f.ImportPath = path.Join(f.ImportPath, f.PackageName)
		f.PackageDoc = packageDoc(source)
		f.prefix = path.Join(path.Dir(f.prefix), f.PackageName, path.Base(f.prefix))
		packageNames[f.ImportPath] = f.PackageName // we generate it
	}
	f.imports = gofile.NewImports(f.ImportPath, packageNames)
	for i, service := range source.Services {
		if o.services == nil || o.services[string(service.Desc.FullName())] {
			f.Services = append(f.Services, newService(f, i, service, o))
		}
	}
	return f
}

func newService(f *File, index int, source *protogen.Service, o *options) *Service {
	fullName := string(source.Desc.FullName())
	name := o.goName(fullName, source.GoName)
	s := &Service{
		File:          f,
		Name:          name,
		ProtoName:     string(source.Desc.Name()),
		FullName:      fullName,
		Index:         index,
		Deprecated:    isDeprecated(source.Desc.Options()),
		Descriptor:    f.symbol(f.source.GoDescriptorIdent),
		Servicer:      name + "Servicer",
		Unimplemented: "Unimplemented" + name + "Servicer",
		Registrar:     "Add" + name + "ToServer",
		MustEmbed:     "mustEmbedUnimplemented" + name + "Servicer",
		Fake:          "Fake" + name + "Servicer",
		FakeRequests:  "fake" + name + "Requests",
		NameConstant:  name + "_service",
		source:        source,
	}
	s.Deprecation = deprecation(s)
	s.Doc = serviceDoc(s)
	for _, method := range source.Methods {
		s.Methods = append(s.Methods, newMethod(s, method, o))
	}
	nameFakeMembers(s)
	return s
}

// nameFakeMembers names the fields and methods that a fake has beside the RPCs' own methods. These names are seen in
// tests only, so that one which is taken by an RPC can give way.
func nameFakeMembers(s *Service) {
	taken := make(map[string]bool)
	for _, m := range s.Methods {
		taken[m.Name] = true
	}
	free := func(name string) string {
		for taken[name] {
			name += "_"
		}
		taken[name] = true
		return name
	}
	for _, m := range s.Methods {
		m.FakeField = free(m.Name + "Func")
		m.FakeCalls = free(m.Name + "Calls")
		m.FakeCall = s.Fake + "_call_" + m.Name
	}
}

func newMethod(s *Service, source *protogen.Method, o *options) *Method {
	fullName := string(source.Desc.FullName())
	name := o.goName(fullName, source.GoName)
	m := &Method{
		Service:          s,
		Name:             name,
		ProtoName:        string(source.Desc.Name()),
		FullName:         fullName,
		Path:             "/" + s.FullName + "/" + string(source.Desc.Name()),
		Deprecated:       isDeprecated(source.Desc.Options()),
		Request:          s.File.symbol(source.Input.GoIdent),
		Response:         s.File.symbol(source.Output.GoIdent),
		StreamsRequests:  source.Desc.IsStreamingClient(),
		StreamsResponses: source.Desc.IsStreamingServer(),
		Executor:         executors[executorOption(source)],
		// A name that protoc-gen-go derives from a message never has a lower-case letter behind an underscore. So this
		// one is not in its way, nor can the methods A.B_C and A_B.C meet in one constant.
		NameConstant: s.Name + "_method_" + name,
		source:       source,
	}
	m.Doc = methodDoc(m)
	return m
}

// serviceDoc documents the servicer of a service: what it is, then what the .proto file says of the service.
func serviceDoc(s *Service) Doc {
	doc := Doc{s.Servicer + " is what an implementation of the service " + s.FullName + " provides."}
	doc = doc.paragraph(commentLines(s.source.Comments)...)
	if !doc.isDeprecated() {
		doc = append(doc, s.Deprecation...)
	}
	return doc.formatted()
}

// deprecation returns the last paragraph of the comment on whatever is declared for a deprecated service, in the form
// that Go tools know; with the empty line in front of it.
func deprecation(s *Service) Doc {
	switch {
	case s.Deprecated:
		return Doc{"", "Deprecated: the service " + s.FullName + " is marked as deprecated in its .proto file."}
	case s.File.Deprecated:
		return Doc{"", "Deprecated: " + s.File.Source + " is marked as deprecated."}
	}
	return nil
}

// methodDoc documents a method with what the .proto file says of it.
func methodDoc(m *Method) Doc {
	doc := Doc(commentLines(m.source.Comments))
	if len(doc) == 0 {
		doc = Doc{m.Name + " handles the RPC " + m.Path + "."}
	}
	if m.Deprecated && !doc.isDeprecated() {
		doc = doc.paragraph("Deprecated: the method " + m.FullName + " is marked as deprecated in its .proto file.")
	}
	return doc
}

// goName returns the Go name of a service or method: the one that the user asked for, or else the usual one.
func (o *options) goName(fullName, usual string) string {
	if name, ok := o.goNames[fullName]; ok {
		return name
	}
	return usual
}
