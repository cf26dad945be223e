package runtimetest_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// greeter is the servicer that the examples test.
type greeter struct {
	helloworld.UnimplementedGreeterServicer
}

func (*greeter) SayHello(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	if runtime.InvocationMetadata(ctx).Get("tired") == "yes" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := runtime.SetTrailingMetadata(ctx, runtime.Pairs("greeted", request.GetName())); err != nil {
		return nil, err
	}
	return &helloworld.HelloReply{Message: "Hello, " + request.GetName() + "!"}, nil
}

func (*greeter) SayHelloStreamReply(_ context.Context, request *helloworld.HelloRequest, replies runtime.ResponseStream[helloworld.HelloReply]) error {
	for i := range 3 {
		if err := replies.Send(&helloworld.HelloReply{Message: fmt.Sprintf("%s %d", request.GetName(), i)}); err != nil {
			return err
		}
	}
	return nil
}

func (*greeter) CollectHellos(_ context.Context, requests runtime.RequestIterator[helloworld.HelloRequest]) (*helloworld.HelloReply, error) {
	reply := &helloworld.HelloReply{Message: "Hello"}
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		reply.Message += ", " + request.GetName()
	}
	return reply, nil
}

// A servicer's method is called directly, with a context that stands for an RPC.
func ExampleNewContext() {
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{
		InvocationMetadata: runtime.Pairs("tired", "no"),
	})
	defer recorder.End()

	reply, err := new(greeter).SayHello(ctx, &helloworld.HelloRequest{Name: "Ada"})
	fmt.Println(reply.GetMessage(), err)
	fmt.Println(recorder.TrailingMetadata())
	// Output:
	// Hello, Ada! <nil>
	// greeted="Ada"
}

// A method that takes a stream of requests gets them from a slice, and, if the test wants it, an error after them.
func ExampleRequests() {
	requests := runtimetest.NewRequests(&helloworld.HelloRequest{Name: "Ada"}, &helloworld.HelloRequest{Name: "Grace"})
	reply, err := new(greeter).CollectHellos(context.Background(), requests)
	fmt.Println(reply.GetMessage(), err)

	requests = runtimetest.NewRequests(&helloworld.HelloRequest{Name: "Ada"})
	requests.Err = status.Error(codes.Canceled, "CANCELLED")
	_, err = new(greeter).CollectHellos(context.Background(), requests)
	fmt.Println(status.Code(err))
	// Output:
	// Hello, Ada, Grace <nil>
	// Canceled
}

// The test keeps the responses of a method that has a stream of them, and can refuse one.
func ExampleResponses() {
	var replies runtimetest.Responses[helloworld.HelloReply]
	err := new(greeter).SayHelloStreamReply(context.Background(), &helloworld.HelloRequest{Name: "Ada"}, &replies)
	for _, reply := range replies.Sent() {
		fmt.Println(reply.GetMessage())
	}
	fmt.Println(err)

	gone := &runtimetest.Responses[helloworld.HelloReply]{Limit: 1, Err: status.Error(codes.Canceled, "CANCELLED")}
	err = new(greeter).SayHelloStreamReply(context.Background(), &helloworld.HelloRequest{Name: "Ada"}, gone)
	fmt.Println(len(gone.Sent()), status.Code(err))
	// Output:
	// Ada 0
	// Ada 1
	// Ada 2
	// <nil>
	// 1 Canceled
}

// With the recorder of an RPC, its streams and its context are of one piece: after Cancel, nothing can be sent. Return tells what
// the client gets of it all.
func ExampleRecorder_Return() {
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{})
	replies := &runtimetest.Responses[helloworld.HelloReply]{Recorder: recorder}
	if err := runtime.Cancel(ctx); err != nil {
		log.Fatal(err)
	}

	err := new(greeter).SayHelloStreamReply(ctx, &helloworld.HelloRequest{Name: "Ada"}, replies)
	fmt.Println(len(replies.Sent()), recorder.Return(nil, err))
	// Output: 0 rpc error: code = Canceled desc = CANCELLED
}

// A whole server in memory serves any client that can be given a dialer; here it is grpc-go's.
func ExampleNewServer() {
	server, err := runtimetest.NewServer(runtime.ServerOptions{}, func(r runtime.Registrar) error {
		return helloworld.AddGreeterToServer(&greeter{}, r)
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	reply := new(helloworld.HelloReply)
	err = conn.Invoke(context.Background(), "/helloworld.Greeter/SayHello", &helloworld.HelloRequest{Name: "Ada"}, reply)
	fmt.Println(reply.GetMessage(), err)
	// Output: Hello, Ada! <nil>
}

// Pipe is a connection with buffers: an end can write before the other reads.
func ExamplePipe() {
	client, server := runtimetest.Pipe()
	fmt.Fprint(client, "hello")
	client.Close()

	var got string
	fmt.Fscan(server, &got)
	fmt.Println(got)
	// Output: hello
}

// A listener in memory is given to a server that a test configures itself.
func ExampleListener() {
	server := runtime.NewServer(runtime.ServerOptions{Workers: 2})
	listener := runtimetest.NewListener()
	if err := server.AddListener(listener); err != nil {
		log.Fatal(err)
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	nc, err := listener.Dial()
	fmt.Println(nc.RemoteAddr(), err)
	nc.Close()
	<-server.Stop(0)
	// Output: memory <nil>
}

// In a bubble of testing/synctest, time is fake: the deadline passes as soon as everything waits for it.
func Example_fakeTime() {
	_ = func(t *testing.T) { // TestSayHello_IsTired, in a test file of yours
		synctest.Test(t, sayHelloIsTired)
	}
}

func sayHelloIsTired(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{
		InvocationMetadata: runtime.Pairs("tired", "yes"),
		Timeout:            time.Hour,
	})
	defer recorder.End()

	_, err := new(greeter).SayHello(ctx, &helloworld.HelloRequest{Name: "Ada"})
	if err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

func TestSayHello_IsTired(t *testing.T) { synctest.Test(t, sayHelloIsTired) }
