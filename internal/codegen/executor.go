package codegen

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	methodoptions "github.com/gogreeter/gogreeter/runtime/options"
)

// executors are the names that the runtime has for what option (gogreeter.method).executor can be.
var executors = map[methodoptions.MethodOptions_Executor]string{
	methodoptions.MethodOptions_EXECUTOR_UNSPECIFIED: "",
	methodoptions.MethodOptions_INLINE:               "Inline",
	methodoptions.MethodOptions_UNBOUNDED:            "Unbounded",
}

// executorOption returns what a method says in option (gogreeter.method).executor.
func executorOption(method *protogen.Method) methodoptions.MethodOptions_Executor {
	options, _ := method.Desc.Options().(*descriptorpb.MethodOptions)
	if unknown := options.ProtoReflect().GetUnknown(); len(unknown) > 0 && !proto.HasExtension(options, methodoptions.E_Method) {
		// The request was decoded without our option. What is wrong with other unknown fields is not our concern.
		options = &descriptorpb.MethodOptions{}
		_ = proto.Unmarshal(unknown, options)
	}
	own, _ := proto.GetExtension(options, methodoptions.E_Method).(*methodoptions.MethodOptions)
	return own.GetExecutor()
}

// checkExecutor refuses an executor that we do not know, or that cannot run the method.
func checkExecutor(m *Method, found *mistakes) {
	executor := executorOption(m.source)
	_, known := executors[executor]
	path, location := locateExecutor(m.source.Desc)
	switch {
	case !known:
		found.addAt(path, location, fmt.Sprintf("the method %s wants the executor %d, which this version of %s does not know: "+
			"update the plugin, or take the option (gogreeter.method).executor away", m.FullName, executor, pluginName))
	case executor == methodoptions.MethodOptions_INLINE && (m.StreamsRequests || m.StreamsResponses):
		found.addAt(path, location, fmt.Sprintf("the method %s has a stream, so it cannot run inline: its handler waits for what "+
			"the goroutine that reads the connection brings. Take the option (gogreeter.method).executor = INLINE away",
			m.FullName))
	}
}

// locateExecutor returns where a method's option is, or else where the method is.
func locateExecutor(d protoreflect.MethodDescriptor) (path string, location protoreflect.SourceLocation) {
	const optionsField, executorField = 4, 1 // of google.protobuf.MethodDescriptorProto, and of our message
	path, location = locate(d)
	option := append(slices.Clone(location.Path), optionsField, int32(methodoptions.E_Method.TypeDescriptor().Number()))
	for _, at := range []protoreflect.SourcePath{append(slices.Clone(option), executorField), option} {
		if found := d.ParentFile().SourceLocations().ByPath(at); found.Path != nil {
			return path, found
		}
	}
	return path, location
}
