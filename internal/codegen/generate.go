package codegen

import (
	"cmp"
	"io"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton"
)

const supportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
	pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)

// respond answers a request: with files, or with an error that names what the user has to change. It takes the request
// apart; see reduce.
func respond(request *pluginpb.CodeGeneratorRequest, reports io.Writer) *pluginpb.CodeGeneratorResponse {
	response := &pluginpb.CodeGeneratorResponse{
		// They are there with an error too: protoc would otherwise complain of the edition, and hide the error.
		SupportedFeatures: proto.Uint64(supportedFeatures),
		MinimumEdition:    proto.Int32(int32(descriptorpb.Edition_EDITION_PROTO2)),
		MaximumEdition:    proto.Int32(int32(descriptorpb.Edition_EDITION_2024)),
	}
	files, err := generate(request, reports)
	if err != nil {
		response.Error = proto.String(err.Error())
		return response
	}
	response.File = files
	return response
}

// generate is the plugin in four steps: options, model, validation, templates.
func generate(
	request *pluginpb.CodeGeneratorRequest, reports io.Writer,
) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	reduce(request)
	options := newOptions()
	plugin, err := protogen.Options{ParamFunc: options.set}.New(request)
	if err != nil {
		return nil, err
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	files := newFiles(plugin, options)
	if err := validate(plugin, files, options); err != nil {
		return nil, err
	}
	if options.skeleton != "" {
		return nil, skeletons(files, options, reports, skeleton.NewCache()) // It writes its files itself.
	}
	reportPlatforms(files, reports)
	outputs, err := render(files, options)
	if err != nil {
		return nil, err
	}
	if err := checkNames(outputs, plugin.Files); err != nil {
		return nil, err
	}
	return responseFiles(outputs, request.GetParameter())
}

// newFiles builds the models of the files that there is something to generate for, in the order of their names: what
// comes out must not depend on the order in which protoc was given them.
func newFiles(plugin *protogen.Plugin, o *options) []*File {
	packageNames := make(map[string]string)
	for _, source := range plugin.Files {
		packageNames[string(source.GoImportPath)] = string(source.GoPackageName)
	}
	var files []*File
	for _, source := range plugin.Files {
		if !source.Generate || len(source.Services) == 0 {
			continue
		}
		if file := newFile(source, packageNames, o); len(file.Services) > 0 {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, func(a, b *File) int { return cmp.Compare(a.Source, b.Source) })
	return files
}
