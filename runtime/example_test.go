package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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

// The invocation metadata leaves out what is the protocol's own, and decodes binary values. The fields do neither.
func ExampleServerStream_Fields() {
	show := runtime.NewMethodHandler(runtime.CardinalityUnaryUnary, func(ctx context.Context, stream *runtime.ServerStream) error {
		fmt.Println("fields:", stream.Fields().Only(":path", "content-type", "span-bin"))
		fmt.Println("metadata:", runtime.InvocationMetadata(ctx))
		return stream.Send(new(runtime.RawMessage))
	})

	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{
		Method: "/t.S/M", InvocationMetadata: runtime.Pairs("span-bin", "\x01"),
	})
	_, err := recorder.Handle(ctx, show, new(runtime.RawMessage))
	fmt.Println(err)
	// Output:
	// fields: :path="/t.S/M" content-type="application/grpc" span-bin="AQ"
	// metadata: span-bin="\x01"
	// <nil>
}

// Initial metadata that waits leaves with the first response.
func ExampleSetInitialMetadata() {
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{Method: "/t.S/M"})
	defer recorder.End()
	responses := runtimetest.Responses[wrapperspb.StringValue]{Recorder: recorder}

	fmt.Println(runtime.SetInitialMetadata(ctx, runtime.Pairs("version", "7")))
	fmt.Println(runtime.SetInitialMetadata(ctx, runtime.Pairs("region", "north")))
	_, sent := recorder.InitialMetadata()
	fmt.Println(sent)
	fmt.Println(responses.Send(wrapperspb.String("first")))
	fmt.Println(recorder.InitialMetadata())
	fmt.Println(runtime.SetInitialMetadata(ctx, runtime.Pairs("late", "yes")))
	// Output:
	// <nil>
	// <nil>
	// false
	// <nil>
	// version="7" region="north" true
	// Initial metadata no longer allowed!
}

// tenantKey is the key of a connection's tenant.
type tenantKey struct{}

// The contexts of all RPCs of a connection have what the server knows of it.
func ExampleOptions_connContext() {
	options := runtime.ServerOptions{ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, tenantKey{}, "whoever is at "+nc.LocalAddr().String())
	}}
	whoami := runtime.UnaryUnary(func(ctx context.Context, _ *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String(ctx.Value(tenantKey{}).(string)), nil
	})
	server, err := runtimetest.NewServer(options, func(r runtime.Registrar) error {
		return r.AddService(runtime.Service{Name: "tenants.Tenants", Methods: map[string]*runtime.MethodHandler{"WhoAmI": whoami}})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	tenant := new(wrapperspb.StringValue)
	err = conn.Invoke(context.Background(), "/tenants.Tenants/WhoAmI", wrapperspb.String(""), tenant)
	fmt.Println(tenant.GetValue(), err)
	// Output: whoever is at memory <nil>
}
