package interop

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

// factsService is served from this process and shows peers what the examples have no reason to show.
const factsService = "interop.Facts"

func factsPath(method string) string { return "/" + factsService + "/" + method }

// facts is the servicer of interop.Facts. Its methods take and give the messages of helloworld.
type facts struct {
	began    chan struct{} // gets a value for each RPC of Wait that has begun
	waitEnds chan error    // gets what ctx said when each RPC of Wait ended
	ignore   chan struct{} // RPCs of Ignore return once it is closed
}

func newFacts() *facts {
	return &facts{began: make(chan struct{}, 100), waitEnds: make(chan error, 100), ignore: make(chan struct{})}
}

type (
	request  = helloworld.HelloRequest
	reply    = helloworld.HelloReply
	incoming = runtime.RequestIterator[helloworld.HelloRequest]
	outgoing = runtime.ResponseStream[helloworld.HelloReply]
)

func (f *facts) service() runtime.Service {
	return runtime.Service{
		Name: factsService,
		Methods: map[string]*runtime.MethodHandler{
			"Echo":           runtime.UnaryUnary(f.echo),
			"Metadata":       runtime.UnaryUnary(f.metadata),
			"MetadataStream": runtime.StreamStream(f.metadataStream),
			"Twice":          runtime.UnaryUnary(f.twice),
			"Details":        runtime.UnaryUnary(f.details),
			"DetailsStream":  runtime.UnaryStream(f.detailsStream),
			"PlainError":     runtime.UnaryUnary(f.plainError),
			"Panic":          runtime.UnaryUnary(f.panic),
			"PanicStream":    runtime.UnaryStream(f.panicStream),
			"Wait":           runtime.UnaryUnary(f.wait),
			"Ignore":         runtime.UnaryUnary(f.ignoreDeadline),
			"Gzip":           runtime.UnaryUnary(f.gzip),
			"GzipStream":     runtime.StreamStream(f.gzipStream),
			"EarlyReturn":    runtime.StreamUnary(f.earlyReturn),
		},
	}
}

func (f *facts) echo(_ context.Context, r *request) (*reply, error) {
	return &reply{Message: r.GetName()}, nil
}

// metadata sends back what begins with "initial-" and "trailing-" in the kind of metadata it names, and answers with all
// the keys that came.
func (f *facts) metadata(ctx context.Context, _ *request) (*reply, error) {
	var keys []string
	var initial, trailing runtime.Metadata
	for _, pair := range runtime.InvocationMetadata(ctx) {
		keys = append(keys, pair.Key)
		switch {
		case strings.HasPrefix(pair.Key, "initial-"):
			initial = append(initial, pair)
		case strings.HasPrefix(pair.Key, "trailing-"):
			trailing = append(trailing, pair)
		}
	}
	slices.Sort(keys)
	if err := runtime.SetTrailingMetadata(ctx, trailing); err != nil {
		return nil, err
	}
	return &reply{Message: strings.Join(keys, " ")}, runtime.SendInitialMetadata(ctx, initial)
}

func (f *facts) metadataStream(ctx context.Context, requests incoming, replies outgoing) error {
	answer, err := f.metadata(ctx, nil)
	if err != nil {
		return err
	}
	for range requests.All() {
		if err := replies.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

// twice sends initial metadata a second time, and answers with what it is told.
func (f *facts) twice(ctx context.Context, _ *request) (*reply, error) {
	first := runtime.SendInitialMetadata(ctx, runtime.Metadata{{Key: "time", Value: "first"}})
	second := runtime.SendInitialMetadata(ctx, runtime.Metadata{{Key: "time", Value: "second"}})
	return &reply{Message: fmt.Sprintf("%v; %v", first, second)}, nil
}

// details returns a status that has them, after it has set trailing metadata.
func (f *facts) details(ctx context.Context, r *request) (*reply, error) {
	metadata := runtime.Metadata{{Key: "reason", Value: "quota"}, {Key: "bytes-bin", Value: "\x00\xff"}}
	if err := runtime.SetTrailingMetadata(ctx, metadata); err != nil {
		return nil, err
	}
	failed, err := status.New(codes.FailedPrecondition, r.GetName()).WithDetails(
		&errdetails.ErrorInfo{Reason: "QUOTA", Domain: "interop"}, &errdetails.RetryInfo{})
	if err != nil {
		return nil, err
	}
	return nil, failed.Err()
}

func (f *facts) detailsStream(ctx context.Context, r *request, replies outgoing) error {
	if err := replies.Send(&reply{Message: "before"}); err != nil {
		return err
	}
	_, err := f.details(ctx, r)
	return err
}

func (f *facts) plainError(_ context.Context, r *request) (*reply, error) {
	return nil, errors.New(r.GetName())
}

func (f *facts) panic(_ context.Context, r *request) (*reply, error) {
	panic(r.GetName())
}

func (f *facts) panicStream(_ context.Context, r *request, replies outgoing) error {
	if err := replies.Send(&reply{Message: "before"}); err != nil {
		return err
	}
	panic(r.GetName())
}

// wait tells the client by initial metadata that it has begun. It returns when its ctx ends, and tells the test why that was.
func (f *facts) wait(ctx context.Context, _ *request) (*reply, error) {
	f.began <- struct{}{}
	_ = runtime.SendInitialMetadata(ctx, runtime.Pairs("wait", "began")) // an error means that ctx has ended
	<-ctx.Done()
	f.waitEnds <- ctx.Err()
	return nil, ctx.Err()
}

// ignoreDeadline is a handler that doesn't look at its ctx.
func (f *facts) ignoreDeadline(context.Context, *request) (*reply, error) {
	<-f.ignore
	return &reply{Message: "too late"}, nil
}

func (f *facts) gzip(ctx context.Context, r *request) (*reply, error) {
	if err := runtime.SetCompression(ctx, runtime.Gzip); err != nil {
		return nil, err
	}
	return f.echo(ctx, r)
}

func (f *facts) gzipStream(ctx context.Context, requests incoming, replies outgoing) error {
	if err := runtime.SetCompression(ctx, runtime.Gzip); err != nil {
		return err
	}
	for r, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := replies.Send(&reply{Message: r.GetName()}); err != nil {
			return err
		}
	}
	return nil
}

// earlyReturn answers the first request and doesn't wait for the others.
func (f *facts) earlyReturn(_ context.Context, requests incoming) (*reply, error) {
	r, err := requests.Next()
	return &reply{Message: r.GetName()}, err
}

// serveFacts serves from this process and returns the address. When the test ends, the server stops and must have left
// no goroutine.
func serveFacts(t *testing.T, tr transport, f *facts, options runtime.ServerOptions) string {
	t.Helper()
	server := runtime.NewServer(options)
	if err := server.AddService(f.service()); err != nil {
		t.Fatal(err)
	}
	if err := helloworld.AddGreeterToServer(helloworld.UnimplementedGreeterServicer{}, server); err != nil {
		t.Fatal(err)
	}
	return startHere(t, tr, server)
}

// startHere starts a server of this process on a free port and returns the address.
func startHere(t *testing.T, tr transport, server *runtime.Server) string {
	t.Helper()
	var port int
	var err error
	if config := tr.serverConfig(t); config != nil {
		port, err = server.AddSecurePort("127.0.0.1:0", config)
	} else {
		port, err = server.AddInsecurePort("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if !runtimeHasGoroutines() {
		t.Fatal("a server that serves has no goroutine: the check for goroutines that are left is blind")
	}
	t.Cleanup(func() {
		<-server.Stop(0)
		eventually(t, "a stopped server leaves no goroutine", func() bool { return !runtimeHasGoroutines() })
	})
	return fmt.Sprint("127.0.0.1:", port)
}

// runtimeHasGoroutines reports whether any goroutine was started by, or is in, package runtime of this project.
func runtimeHasGoroutines() bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:goruntime.Stack(stacks, true)]
	return strings.Contains(string(stacks), "gogreeter/gogreeter/runtime")
}
