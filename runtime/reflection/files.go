package reflection

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gogreeter/gogreeter/runtime"
)

// files finds declarations in the files that describe a server's services and in what those import. What is not there, it
// looks up among all files that are linked into the process. What the services say has precedence, since it is what they
// serve.
type files struct {
	// Immutable after newFiles.
	services   []runtime.Service // which it was made for
	names      []string          // of the services, in order
	listed     []byte            // the answer that lists them, encoded
	registry   *protoregistry.Files
	extensions map[protoreflect.FullName]map[protoreflect.FieldNumber]protoreflect.ExtensionDescriptor // by what they extend

	mu      sync.Mutex
	encoded map[string]encodedFile // by path; guarded by mu
}

// encodedFile is a file as clients get it.
type encodedFile struct {
	file   protoreflect.FileDescriptor
	octets []byte
	err    error
}

func newFiles(services []runtime.Service) *files {
	names := make([]string, len(services))
	for i, service := range services {
		names[i] = service.Name
	}
	slices.Sort(names)
	listed, _ := proto.Marshal(namesOf(names)) // an error is for the caller that is answered
	f := &files{
		services:   services,
		names:      names,
		listed:     listed,
		registry:   new(protoregistry.Files),
		extensions: map[protoreflect.FullName]map[protoreflect.FieldNumber]protoreflect.ExtensionDescriptor{},
		encoded:    map[string]encodedFile{},
	}
	seen := map[string]bool{}
	for _, service := range services {
		if descriptor := service.Descriptor; descriptor != nil {
			for _, file := range withImports(descriptor.ParentFile(), seen) {
				f.add(file)
			}
		}
	}
	return f
}

// add adds a file, unless it contradicts one that is there.
func (f *files) add(file protoreflect.FileDescriptor) {
	if f.registry.RegisterFile(file) == nil {
		f.addExtensions(file)
	}
}

// declarations are what a file and a message have in common.
type declarations interface {
	Messages() protoreflect.MessageDescriptors
	Extensions() protoreflect.ExtensionDescriptors
}

func (f *files) addExtensions(in declarations) {
	for i := range in.Extensions().Len() {
		extension := in.Extensions().Get(i)
		extended := extension.ContainingMessage().FullName()
		if f.extensions[extended] == nil {
			f.extensions[extended] = map[protoreflect.FieldNumber]protoreflect.ExtensionDescriptor{}
		}
		f.extensions[extended][extension.Number()] = extension
	}
	for i := range in.Messages().Len() {
		f.addExtensions(in.Messages().Get(i))
	}
}

// byPath returns a file, or nil.
func (f *files) byPath(path string) protoreflect.FileDescriptor {
	for _, registry := range []*protoregistry.Files{f.registry, protoregistry.GlobalFiles} {
		if file, err := registry.FindFileByPath(path); err == nil {
			return file
		}
	}
	return nil
}

// byName returns a declaration, or nil.
func (f *files) byName(name string) protoreflect.Descriptor {
	for _, registry := range []*protoregistry.Files{f.registry, protoregistry.GlobalFiles} {
		if declaration, err := registry.FindDescriptorByName(protoreflect.FullName(name)); err == nil {
			return declaration
		}
	}
	return nil
}

// extension returns an extension of a message, or nil.
func (f *files) extension(of string, number int32) protoreflect.ExtensionDescriptor {
	message, field := protoreflect.FullName(of), protoreflect.FieldNumber(number)
	if extension := f.extensions[message][field]; extension != nil {
		return extension
	}
	if extension, err := protoregistry.GlobalTypes.FindExtensionByNumber(message, field); err == nil {
		return extension.TypeDescriptor().Descriptor()
	}
	return nil
}

// extensionNumbers returns the numbers of all extensions of a message, in order. ok is false if there is no such message.
func (f *files) extensionNumbers(of string) (numbers []int32, ok bool) {
	if _, ok := f.byName(of).(protoreflect.MessageDescriptor); !ok {
		return nil, false
	}
	message := protoreflect.FullName(of)
	for number := range f.extensions[message] {
		numbers = append(numbers, int32(number))
	}
	protoregistry.GlobalTypes.RangeExtensionsByMessage(message, func(extension protoreflect.ExtensionType) bool {
		numbers = append(numbers, int32(extension.TypeDescriptor().Number()))
		return true
	})
	slices.Sort(numbers)
	return slices.Compact(numbers), true
}

// withImports returns a file and all that it imports, directly or not, but for those that were seen or are missing.
func withImports(file protoreflect.FileDescriptor, seen map[string]bool) []protoreflect.FileDescriptor {
	if file.IsPlaceholder() || seen[file.Path()] {
		return nil
	}
	seen[file.Path()] = true
	all := []protoreflect.FileDescriptor{file}
	for i := range file.Imports().Len() {
		all = append(all, withImports(file.Imports().Get(i).FileDescriptor, seen)...)
	}
	return all
}

// encode returns files as clients get them. Each file is marshalled once: a request that costs its sender a few octets may
// ask for hundreds of KiB, again and again. The octets must not be modified.
func (f *files) encode(files []protoreflect.FileDescriptor) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([][]byte, 0, len(files))
	for _, file := range files {
		e := f.encoded[file.Path()]
		if e.file != file { // files that are linked into the process may contradict those of the services
			e = encodedFile{file: file}
			e.octets, e.err = proto.Marshal(protodesc.ToFileDescriptorProto(file))
			f.encoded[file.Path()] = e
		}
		if e.err != nil {
			return nil, e.err
		}
		all = append(all, e.octets)
	}
	return all, nil
}

// cache keeps the files of a server's services until those change.
type cache struct {
	server Server

	mu sync.Mutex
	// Guarded by mu.
	last     *files
	revision uint64 // of the services, when last was made; only if the server has revisions
}

// revised is a server that tells whether its services have changed. To copy and compare all of them for each request would
// cost more than to answer it.
type revised interface{ ServicesRevision() uint64 }

func (c *cache) files() *files {
	c.mu.Lock()
	defer c.mu.Unlock()
	if server, ok := c.server.(revised); ok {
		revision := server.ServicesRevision() // before Services: it must not be that of a later change
		if c.last != nil && revision == c.revision {
			return c.last
		}
		c.revision = revision
	}
	now := c.server.Services()
	if c.last == nil || !sameServices(c.last.services, now) {
		c.last = newFiles(now)
	}
	return c.last
}

func sameServices(a, b []runtime.Service) bool {
	return slices.EqualFunc(a, b, func(a, b runtime.Service) bool { return a.Name == b.Name && a.Descriptor == b.Descriptor })
}
