package codegen

import (
	"slices"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// reduce takes out of a request what has no bearing on what is generated: the fields of messages, and the comments on
// them. That is most of it, and protogen spends its time and memory on whatever is there.
//
// Fields stay that protoc-gen-go declares a name for at package level; see forEachPeerName.
func reduce(request *pluginpb.CodeGeneratorRequest) {
	for _, file := range request.ProtoFile {
		if info := file.SourceCodeInfo; info != nil {
			info.Location = slices.DeleteFunc(info.Location, func(l *descriptorpb.SourceCodeInfo_Location) bool {
				return !isLocationOfInterest(l.Path)
			})
		}
		for _, message := range file.MessageType {
			reduceMessage(message)
		}
	}
}

func reduceMessage(message *descriptorpb.DescriptorProto) {
	message.Field = slices.DeleteFunc(message.Field, func(f *descriptorpb.FieldDescriptorProto) bool {
		return f.OneofIndex == nil && f.DefaultValue == nil
	})
	// The type of a map's entries goes with the map.
	message.NestedType = slices.DeleteFunc(message.NestedType, func(m *descriptorpb.DescriptorProto) bool {
		return m.GetOptions().GetMapEntry()
	})
	for _, nested := range message.NestedType {
		reduceMessage(nested)
	}
}

// isLocationOfInterest says whether a comment or a line number may be needed: of a service or method, of the top of a
// file, or of a declaration whose name may clash.
func isLocationOfInterest(path []int32) bool {
	const (
		packageField, messageField, enumField, serviceField = 2, 4, 5, 6
		extensionField, optionsField, syntaxField           = 7, 8, 12
		editionField                                        = 14 // all of google.protobuf.FileDescriptorProto

		fieldField = 2 // of google.protobuf.DescriptorProto
	)
	if len(path) == 0 {
		return false
	}
	switch path[0] {
	case packageField, serviceField, optionsField, syntaxField, editionField:
		return true
	case messageField:
		// The message itself and what is nested in it, but no options and the like.
		return len(path)%2 == 0 && (len(path) <= 2 || path[len(path)-2] != fieldField || len(path) == 4)
	case enumField, extensionField:
		return len(path) <= 4
	}
	return false
}
