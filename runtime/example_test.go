package runtime_test

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// A handler that knows its messages by their descriptors only, as one does that reads them from a file.
func ExampleNewMethodHandler() {
	descriptor := new(wrapperspb.StringValue).ProtoReflect().Descriptor()
	value := descriptor.Fields().ByName("value")
	shout := runtime.NewMethodHandler(runtime.CardinalityStreamStream, func(_ context.Context, stream *runtime.ServerStream) error {
		for {
			message := dynamicpb.NewMessage(descriptor)
			switch err := stream.Receive(message); {
			case err == io.EOF:
				return nil
			case err != nil:
				return err
			}
			message.Set(value, protoreflect.ValueOfString(message.Get(value).String()+"!"))
			if err := stream.Send(message); err != nil {
				return err
			}
		}
	})

	// server.AddService(runtime.Service{Name: "shouting.Shouter", Methods: map[string]*runtime.MethodHandler{"Shout": shout}})
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{Method: "/shouting.Shouter/Shout"})
	responses, err := recorder.Handle(ctx, shout, wrapperspb.String("Ada"), wrapperspb.String("Grace"))
	for _, response := range responses {
		fmt.Println(response.(proto.Message).ProtoReflect().Get(value))
	}
	fmt.Println(err)
	// Output:
	// Ada!
	// Grace!
	// <nil>
}
