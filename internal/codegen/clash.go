package codegen

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// clashes finds Go names that two things get.
type clashes struct {
	found    *mistakes
	declared map[symbolKey]declaration // by the generated files
	reported map[string]bool           // pairs of proto symbols: each is shown once
}

func newClashes(found *mistakes) *clashes {
	return &clashes{found: found, declared: make(map[symbolKey]declaration), reported: make(map[string]bool)}
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

// checkMethods finds methods of a service that get the same Go name.
func (c *clashes) checkMethods(s *Service) {
	seen := make(map[string]*Method)
	for _, m := range s.Methods {
		own := declaration{"the method " + m.FullName, m.source.Desc}
		if first, ok := seen[m.Name]; ok {
			c.clash(m.Name, own, declaration{"the method " + first.FullName, first.source.Desc}, rename(m.FullName))
			continue
		}
		seen[m.Name] = m
		if s.File.RequireEmbedding && m.Name == s.Unimplemented {
			base := declaration{"the base to embed for the service " + s.FullName, s.source.Desc}
			c.clash(m.Name, own, base, rename(m.FullName))
		}
	}
}

// declareService enters what is generated for a service, and finds clashes with other services.
func (c *clashes) declareService(s *Service) {
	for _, name := range s.declarations() {
		c.declare(s, name, declaration{"the service " + s.FullName, s.source.Desc})
	}
	seen := make(map[string]bool) // Two methods of one name are a mistake that has been found already.
	for _, m := range s.Methods {
		if !seen[m.Name] {
			for _, name := range m.declarations() {
				c.declare(s, name, declaration{"the method " + m.FullName, m.source.Desc})
			}
		}
		seen[m.Name] = true
	}
}

func (c *clashes) declare(s *Service, name string, d declaration) {
	key := symbolKey{s.File.ImportPath, name}
	if first, ok := c.declared[key]; ok {
		c.clash(name, d, first, rename(s.FullName))
		return
	}
	c.declared[key] = d
}

// checkPeers finds clashes with what protoc-gen-go and protoc-gen-go-grpc declare in the same packages: the one is
// always there, the other often is, since users move service by service.
func (c *clashes) checkPeers(plugin *protogen.Plugin) {
	packages := make(map[string]bool)
	for key := range c.declared {
		packages[key.importPath] = true
	}
	for _, file := range plugin.Files {
		importPath := string(file.GoImportPath)
		if !packages[importPath] {
			continue
		}
		forEachPeerName(file, func(name, kind string, descriptor protoreflect.Descriptor) {
			own, ok := c.declared[symbolKey{importPath, name}]
			if !ok {
				return
			}
			service := own.descriptor
			if method, ok := service.(protoreflect.MethodDescriptor); ok {
				service = method.Parent()
			}
			peer := declaration{fmt.Sprintf("the %s %s", kind, descriptor.FullName()), descriptor}
			c.clash(name, own, peer, renameOrMove(service.FullName()))
		})
	}
}

// clash reports that two declarations get the same Go name.
func (c *clashes) clash(goName string, a, b declaration, remedy string) {
	pair := string(a.descriptor.FullName()) + " " + string(b.descriptor.FullName())
	if c.reported[pair] {
		return
	}
	c.reported[pair] = true
	path, location := locate(a.descriptor)
	c.found.addAt(path, location, fmt.Sprintf("%s and %s (%s) both become %s in Go: %s",
		a.what, b.what, position(locate(b.descriptor)), goName, remedy))
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
