package codegen

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// declarations returns the names that are declared for a service in its package, other than those of its methods.
func (s *Service) declarations() []string {
	var names []string
	if s.File.Servicers {
		names = append(names, s.Servicer, s.Unimplemented, s.NameConstant)
	}
	if s.File.Registrars {
		names = append(names, s.Registrar)
	}
	if s.File.Fakes {
		names = append(names, s.Fake)
	}
	return names
}

// declarations returns the names that are declared for a method in its package.
func (m *Method) declarations() []string {
	var names []string
	if m.Service.File.Servicers {
		names = append(names, m.NameConstant)
	}
	if m.Service.File.Fakes {
		names = append(names, m.FakeCall)
	}
	return names
}

// nameVisitor is called with a Go name, what sort of thing in a .proto file it is declared for, and that thing.
type nameVisitor func(name, kind string, descriptor protoreflect.Descriptor)

// forEachPeerName visits the names that protoc-gen-go and protoc-gen-go-grpc declare for a file, but for those that none
// of ours can be. Ours end in Servicer or ToServer, or have a lower-case letter behind an underscore, which peers have only
// where the name of an enum's value or of a file has one.
func forEachPeerName(file *protogen.File, visit nameVisitor) {
	visit(file.GoDescriptorIdent.GoName, "file", file.Desc)
	visitEnums(file.Enums, visit)
	visitMessages(file.Messages, visit)
	visitExtensions(file.Extensions, visit)
	for _, service := range file.Services {
		visitService(service, visit)
	}
}

func visitMessages(messages []*protogen.Message, visit nameVisitor) {
	for _, message := range messages {
		name := message.GoIdent.GoName
		visit(name, "message", message.Desc)
		for _, field := range message.Fields {
			if field.Oneof != nil && !field.Oneof.Desc.IsSynthetic() {
				visit(field.GoIdent.GoName, "field", field.Desc)
			}
			if field.Desc.HasDefault() {
				visit("Default_"+name+"_"+field.GoName, "field", field.Desc)
			}
		}
		visitEnums(message.Enums, visit)
		visitMessages(message.Messages, visit)
		visitExtensions(message.Extensions, visit)
	}
}

func visitEnums(enums []*protogen.Enum, visit nameVisitor) {
	for _, enum := range enums {
		visit(enum.GoIdent.GoName, "enum", enum.Desc)
		for _, value := range enum.Values {
			visit(value.GoIdent.GoName, "enum value", value.Desc)
			visit(value.PrefixedAlias.GoName, "enum value", value.Desc)
		}
	}
}

func visitExtensions(extensions []*protogen.Extension, visit nameVisitor) {
	for _, extension := range extensions {
		visit("E_"+extension.GoIdent.GoName, "extension", extension.Desc)
	}
}

// visitService visits what protoc-gen-go-grpc declares: our registrar AddXToServer may be its interface of a service AddXTo.
func visitService(service *protogen.Service, visit nameVisitor) {
	visit(service.GoName+"Server", "service", service.Desc)
	for _, method := range service.Methods {
		if method.Desc.IsStreamingClient() || method.Desc.IsStreamingServer() {
			visit(service.GoName+"_"+method.GoName+"Server", "method", method.Desc)
		}
	}
}
