package reflection

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime"
	reflectionv1 "github.com/gogreeter/gogreeter/runtime/reflection/internal/gogreeter/reflection/v1"
)

// servicer implements reflectionv1.ServerReflectionServicer.
type servicer struct{ cache }

// ServerReflectionInfo answers each request. What is not found is no end of the RPC.
func (s *servicer) ServerReflectionInfo(_ context.Context, requests runtime.RequestIterator[reflectionv1.ServerReflectionRequest], responses runtime.ResponseStream[reflectionv1.ServerReflectionResponse]) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		response, err := s.answer(request)
		if err != nil {
			return err
		}
		response.OriginalRequest = request
		if err := responses.Send(response); err != nil {
			return err
		}
	}
	return nil
}

func (s *servicer) answer(request *reflectionv1.ServerReflectionRequest) (*reflectionv1.ServerReflectionResponse, error) {
	files := s.files()
	switch what := request.GetMessageRequest().(type) {
	case *reflectionv1.ServerReflectionRequest_FileByFilename:
		if file := files.byPath(what.FileByFilename); file != nil {
			return filesFrom(file)
		}
	case *reflectionv1.ServerReflectionRequest_FileContainingSymbol:
		if declaration := files.byName(what.FileContainingSymbol); declaration != nil {
			return filesFrom(declaration.ParentFile())
		}
	case *reflectionv1.ServerReflectionRequest_FileContainingExtension:
		extension := what.FileContainingExtension
		if declaration := files.extension(extension.GetContainingType(), extension.GetExtensionNumber()); declaration != nil {
			return filesFrom(declaration.ParentFile())
		}
	case *reflectionv1.ServerReflectionRequest_AllExtensionNumbersOfType:
		if numbers, ok := files.extensionNumbers(what.AllExtensionNumbersOfType); ok {
			return numbersOf(what.AllExtensionNumbersOfType, numbers), nil
		}
	case *reflectionv1.ServerReflectionRequest_ListServices:
		return namesOf(files.services), nil
	default:
		return failure(codes.InvalidArgument, "invalid argument"), nil
	}
	return failure(codes.NotFound, "not found"), nil
}

// filesFrom is a file and, so that the client need not ask again, all that it imports.
func filesFrom(file protoreflect.FileDescriptor) (*reflectionv1.ServerReflectionResponse, error) {
	response := &reflectionv1.FileDescriptorResponse{}
	for _, file := range withImports(file, map[string]bool{}) {
		octets, err := proto.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			return nil, err
		}
		response.FileDescriptorProto = append(response.FileDescriptorProto, octets)
	}
	return &reflectionv1.ServerReflectionResponse{
		MessageResponse: &reflectionv1.ServerReflectionResponse_FileDescriptorResponse{FileDescriptorResponse: response},
	}, nil
}

func numbersOf(message string, numbers []int32) *reflectionv1.ServerReflectionResponse {
	return &reflectionv1.ServerReflectionResponse{
		MessageResponse: &reflectionv1.ServerReflectionResponse_AllExtensionNumbersResponse{
			AllExtensionNumbersResponse: &reflectionv1.ExtensionNumberResponse{BaseTypeName: message, ExtensionNumber: numbers},
		},
	}
}

func namesOf(services map[string]runtime.Service) *reflectionv1.ServerReflectionResponse {
	response := &reflectionv1.ListServiceResponse{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		response.Service = append(response.Service, &reflectionv1.ServiceResponse{Name: name})
	}
	return &reflectionv1.ServerReflectionResponse{
		MessageResponse: &reflectionv1.ServerReflectionResponse_ListServicesResponse{ListServicesResponse: response},
	}
}

func failure(code codes.Code, text string) *reflectionv1.ServerReflectionResponse {
	return &reflectionv1.ServerReflectionResponse{
		MessageResponse: &reflectionv1.ServerReflectionResponse_ErrorResponse{
			ErrorResponse: &reflectionv1.ErrorResponse{ErrorCode: int32(code), ErrorMessage: text},
		},
	}
}
