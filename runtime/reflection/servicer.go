package reflection

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	reflectionv1 "github.com/gogreeter/gogreeter/runtime/reflection/internal/gogreeter/reflection/v1"
)

// servicer implements reflectionv1.ServerReflectionServicer.
type servicer struct{ cache }

// maxRequest is how long a request may be, in octets: names that are to be found, and no more. Each is echoed, a symbol is
// looked up by all its prefixes, and compressed it may be a thousandth of its length.
const maxRequest = 512

// ServerReflectionInfo answers each request. What is not found is no end of the RPC.
func (s *servicer) ServerReflectionInfo(ctx context.Context, requests runtime.RequestIterator[reflectionv1.ServerReflectionRequest], responses runtime.ResponseStream[reflectionv1.ServerReflectionResponse]) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		response, err := s.respond(ctx, request)
		if err != nil {
			return err
		}
		if err := responses.Send(response); err != nil {
			return err
		}
	}
	return nil
}

// respond returns an answer that has nothing of a request which is too long: it may wait for the client's window.
func (s *servicer) respond(ctx context.Context, request *reflectionv1.ServerReflectionRequest) (*reflectionv1.ServerReflectionResponse, error) {
	if proto.Size(request) > maxRequest {
		return failure(codes.InvalidArgument, fmt.Sprintf("the request is longer than %d octets", maxRequest)), nil
	}
	response, err := s.answer(ctx, request)
	if err != nil {
		return nil, err
	}
	response.OriginalRequest = request
	return response, nil
}

func (s *servicer) answer(ctx context.Context, request *reflectionv1.ServerReflectionRequest) (*reflectionv1.ServerReflectionResponse, error) {
	files := s.files()
	switch what := request.GetMessageRequest().(type) {
	case *reflectionv1.ServerReflectionRequest_FileByFilename:
		if file := files.byPath(what.FileByFilename); file != nil {
			return filesFrom(files, file)
		}
	case *reflectionv1.ServerReflectionRequest_FileContainingSymbol:
		if declaration := files.byName(what.FileContainingSymbol); declaration != nil {
			return filesFrom(files, declaration.ParentFile())
		}
	case *reflectionv1.ServerReflectionRequest_FileContainingExtension:
		extension := what.FileContainingExtension
		if declaration := files.extension(extension.GetContainingType(), extension.GetExtensionNumber()); declaration != nil {
			return filesFrom(files, declaration.ParentFile())
		}
	case *reflectionv1.ServerReflectionRequest_AllExtensionNumbersOfType:
		if numbers, ok := files.extensionNumbers(what.AllExtensionNumbersOfType); ok {
			return numbersOf(what.AllExtensionNumbersOfType, numbers), nil
		}
	case *reflectionv1.ServerReflectionRequest_ListServices:
		return listOf(ctx, files), nil
	default:
		return failure(codes.InvalidArgument, "invalid argument"), nil
	}
	return failure(codes.NotFound, "not found"), nil
}

// filesFrom is a file and, so that the client need not ask again, all that it imports.
func filesFrom(files *files, file protoreflect.FileDescriptor) (*reflectionv1.ServerReflectionResponse, error) {
	octets, err := files.encode(withImports(file, map[string]bool{}))
	if err != nil {
		return nil, err
	}
	response := &reflectionv1.FileDescriptorResponse{FileDescriptorProto: octets}
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

// listOf answers a request of two octets. To encode the names anew, once for each, would make it as expensive as there are
// many. Unless an interceptor looks at the message, the answer reuses octets that are encoded already. They are unknown
// fields of the message, which protobuf writes as they are.
func listOf(ctx context.Context, files *files) *reflectionv1.ServerReflectionResponse {
	if files.listed == nil || !carrier.IsUnobserved(ctx) {
		return namesOf(files.names)
	}
	response := &reflectionv1.ServerReflectionResponse{}
	response.ProtoReflect().SetUnknown(files.listed)
	return response
}

func namesOf(names []string) *reflectionv1.ServerReflectionResponse {
	response := &reflectionv1.ListServiceResponse{Service: make([]*reflectionv1.ServiceResponse, len(names))}
	services := make([]reflectionv1.ServiceResponse, len(names)) // in one piece
	for i, name := range names {
		services[i].Name = name
		response.Service[i] = &services[i]
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
