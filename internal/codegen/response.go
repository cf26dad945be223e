package codegen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// responseFiles turns the outputs into what goes into the response: sorted by name, with the prefix cut off that the
// option module= names, and with a .meta file beside each if annotate_code asks for it.
//
// protogen does the same for files that are printed through it, one after the other; here they are rendered at once.
func responseFiles(outputs []*output, parameter string) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	module, annotated := commonOptions(parameter)
	slices.SortFunc(outputs, func(a, b *output) int { return cmp.Compare(a.name, b.name) })
	files := make([]*pluginpb.CodeGeneratorResponse_File, 0, len(outputs))
	for i, output := range outputs {
		if i > 0 && outputs[i-1].name == output.name {
			return nil, fmt.Errorf("%s and %s both write %s: give them different Go packages (option go_package), "+
				"different names, or use paths=source_relative",
				outputs[i-1].file.Source, output.file.Source, output.name)
		}
		name, err := output.nameIn(module)
		if err != nil {
			return nil, err
		}
		files = append(files, responseFile(name, string(output.content)))
		if annotated {
			meta, err := annotations(output)
			if err != nil {
				return nil, err
			}
			files = append(files, responseFile(name+".meta", meta))
		}
	}
	return files, nil
}

func responseFile(name, content string) *pluginpb.CodeGeneratorResponse_File {
	return &pluginpb.CodeGeneratorResponse_File{Name: proto.String(name), Content: proto.String(content)}
}

// nameIn returns the name of the file, seen from the top directory of a module if one is given.
func (o *output) nameIn(module string) (string, error) {
	if module == "" {
		return o.name, nil
	}
	name, ok := strings.CutPrefix(o.name, module+"/")
	if !ok {
		return "", fmt.Errorf("%s: its Go package is not in the module %q that the option module= names, "+
			"so %s cannot be written", o.file.Source, module, o.name)
	}
	return name, nil
}

// checkNames refuses files that protoc-gen-go or protoc-gen-go-grpc write for another .proto file, as the messages of
// a_gogreeter.proto where the services of a.proto are to go. Each plugin for itself could not know, and one of the files
// would be gone.
func checkNames(outputs []*output, sources []*protogen.File) error {
	peers := make(map[string]*protogen.File)
	for _, source := range sources {
		prefix := source.GeneratedFilenamePrefix
		for _, suffix := range []string{".pb.go", "_protoopaque.pb.go", "_grpc.pb.go"} {
			peers[prefix+suffix] = source
		}
	}
	for _, output := range outputs {
		if peer, ok := peers[output.name]; ok {
			return fmt.Errorf("%s: what is generated goes to %s, where other plugins put what they generate for %s: rename one of "+
				"the .proto files, or put the code into a package of its own with the option package_suffix=SUFFIX",
				output.file.Source, output.name, peer.Desc.Path())
		}
	}
	return nil
}

// commonOptions reads those options that protogen has checked, but keeps to itself.
func commonOptions(parameter string) (module string, annotated bool) {
	for option := range strings.SplitSeq(parameter, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "module":
			module = value
		case "annotate_code":
			annotated = value != "false"
		}
	}
	return module, annotated
}
