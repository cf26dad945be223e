package reflection

import (
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gogreeter/gogreeter/runtime"
)

// files finds declarations: in the files that describe a server's services and in what those import, or else among all
// that are linked into the process. What the services say has precedence, since it is what they serve.
type files struct {
	services   map[string]runtime.Service // which it was made for
	registry   *protoregistry.Files
	extensions map[protoreflect.FullName]map[protoreflect.FieldNumber]protoreflect.ExtensionDescriptor // by what they extend
}

func newFiles(services map[string]runtime.Service) *files {
	f := &files{
		services:   services,
		registry:   new(protoregistry.Files),
		extensions: map[protoreflect.FullName]map[protoreflect.FieldNumber]protoreflect.ExtensionDescriptor{},
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if descriptor := services[name].Descriptor; descriptor != nil {
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

// cache keeps the files of a server's services until those change.
type cache struct {
	server Server

	mu   sync.Mutex
	last *files // guarded by mu
}

func (c *cache) files() *files {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.server.Services()
	same := func(a, b runtime.Service) bool { return a.Descriptor == b.Descriptor }
	if c.last == nil || !maps.EqualFunc(c.last.services, now, same) {
		c.last = newFiles(now)
	}
	return c.last
}
