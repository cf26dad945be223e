// Package renamed describes services under the names that clients know, for messages that are registered under others.
package renamed

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/runtime"
)

// maxRequest is how many octets a request has at most. Those of health and reflection need a few hundred; one that inflates
// to more must not be held while a watch goes on, nor cost what it takes to decode it.
const maxRequest = 4 << 10

// Registrar adds services to a server under other names. Their RPCs never wait for one of runtime.ServerOptions.Workers, and their
// requests are small.
type Registrar struct {
	Server runtime.Registrar
	File   protoreflect.FileDescriptor // which declares the services
	As     Name
}

// AddService implements runtime.Registrar.
func (r Registrar) AddService(service runtime.Service) error {
	file, err := File(r.File, r.As)
	if err != nil {
		return err
	}
	service.Descriptor = file.Services().ByName(service.Descriptor.Name())
	service.Name = string(service.Descriptor.FullName())
	for name, handler := range service.Methods {
		service.Methods[name] = handler.WithExecutor(runtime.Unbounded).WithMaxReceiveMessageBytes(maxRequest)
	}
	return r.Server.AddService(service)
}

// Name is what a file is called.
type Name struct {
	Path      string                // of the .proto file
	Package   protoreflect.FullName // in the .proto file
	GoPackage string
}

// File returns a file that declares the same as another, under another name. It is not registered anywhere. The file must
// not import others.
func File(file protoreflect.FileDescriptor, as Name) (protoreflect.FileDescriptor, error) {
	described := protodesc.ToFileDescriptorProto(file)
	described.Name = proto.String(as.Path)
	described.Package = proto.String(string(as.Package))
	described.Options = &descriptorpb.FileOptions{GoPackage: proto.String(as.GoPackage)}
	r := renaming{from: "." + string(file.Package()) + ".", to: "." + string(as.Package) + "."}
	r.messages(described.GetMessageType())
	for _, service := range described.GetService() {
		for _, method := range service.GetMethod() {
			r.name(method.InputType)
			r.name(method.OutputType)
		}
	}
	return protodesc.NewFile(described, new(protoregistry.Files))
}

// renaming replaces the prefix of names. Those in descriptors begin with a dot.
type renaming struct{ from, to string }

func (r renaming) name(name *string) {
	if rest, ok := strings.CutPrefix(*name, r.from); ok {
		*name = r.to + rest
	}
}

func (r renaming) messages(messages []*descriptorpb.DescriptorProto) {
	for _, message := range messages {
		r.messages(message.GetNestedType())
		for _, field := range message.GetField() {
			if field.TypeName != nil {
				r.name(field.TypeName)
			}
		}
	}
}
