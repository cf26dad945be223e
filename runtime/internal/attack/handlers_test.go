package attack

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gogreeter/gogreeter/runtime"
)

type raw = runtime.RawMessage

// What handlers answer with is made once: they hold no memory themselves.
var (
	large    = &raw{Data: make([]byte, 4<<20-100)}
	mebi     = &raw{Data: make([]byte, 1<<20)}
	piece    = &raw{Data: make([]byte, 64<<10)}
	tiny     = &raw{}
	errLong  = status.Error(codes.Internal, strings.Repeat("e", 256<<10))
	metadata = runtime.Pairs("x", strings.Repeat("m", 48<<10))
)

// mebis is how many messages of 1 MiB a handler of a stream sends.
const mebis = 8

// methods are the victim's. Where workers are bounded, those that wait for their client have workers of their own: that the
// others are kept waiting would be the operator's mistake.
func (k kind) methods(s *runtime.Server, m *meter) map[string]*runtime.MethodHandler {
	methods := map[string]*runtime.MethodHandler{
		"Echo":    runtime.UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { return request, nil }),
		"Value":   runtime.UnaryUnary(func(_ context.Context, request *structpb.Value) (*structpb.Value, error) { return request, nil }),
		"Measure": runtime.UnaryUnary(m.answer).WithExecutor(runtime.Unbounded),
		"Large":   runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) { return large, nil }),
		"Mebi":    runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) { return mebi, nil }),
		"Fail":    runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) { return nil, errLong }),
		"Squeeze": runtime.UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			return mebi, runtime.SetCompression(ctx, runtime.Gzip)
		}),
		"Trail": runtime.UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			return tiny, runtime.SetTrailingMetadata(ctx, metadata)
		}),
		"Lead": runtime.UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			return tiny, runtime.SendInitialMetadata(ctx, metadata)
		}),
	}
	waiting := map[string]*runtime.MethodHandler{
		"Wait": runtime.UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Heedless": runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) {
			time.Sleep(50 * time.Millisecond)
			return tiny, nil
		}),
		"Deaf": runtime.StreamUnary(func(ctx context.Context, _ runtime.RequestIterator[raw]) (*raw, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Read": runtime.StreamUnary(func(_ context.Context, requests runtime.RequestIterator[raw]) (*raw, error) {
			for _, err := range requests.All() {
				if err != nil {
					return nil, err
				}
			}
			return tiny, nil
		}),
		"Chat": runtime.StreamStream(func(_ context.Context, requests runtime.RequestIterator[raw], responses runtime.ResponseStream[raw]) error {
			for request, err := range requests.All() {
				if err != nil {
					return err
				}
				if err := responses.Send(request); err != nil {
					return err
				}
			}
			return nil
		}),
		"Stream": runtime.UnaryStream(func(_ context.Context, _ *raw, responses runtime.ResponseStream[raw]) error {
			for {
				if err := responses.Send(piece); err != nil {
					return err
				}
			}
		}),
		"Mebis": runtime.UnaryStream(func(_ context.Context, _ *raw, responses runtime.ResponseStream[raw]) error {
			for range mebis {
				if err := responses.Send(mebi); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	own := runtime.NewExecutor(8)
	for name, handler := range waiting {
		if k.workers > 0 {
			handler = handler.WithExecutor(own)
		}
		methods[name] = handler
	}
	return methods
}

// described is a service without methods whose file imports others, for reflection to tell of.
func described() runtime.Service {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("attack/described.proto"), Package: proto.String("attack"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/descriptor.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Described"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name:       proto.String("Nothing"),
				InputType:  proto.String(".google.protobuf.FileDescriptorSet"),
				OutputType: proto.String(".google.protobuf.FileDescriptorSet"),
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return runtime.Service{Name: "attack.Described", Descriptor: file.Services().Get(0)}
}
