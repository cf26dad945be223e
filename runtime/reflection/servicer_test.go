package reflection

import (
	"context"
	"fmt"
	"io"
	"iter"
	goruntime "runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	reflectionv1 "github.com/gogreeter/gogreeter/runtime/reflection/internal/gogreeter/reflection/v1"
)

type (
	request  = reflectionv1.ServerReflectionRequest
	response = reflectionv1.ServerReflectionResponse
)

func bySymbol(name string) *request {
	return &request{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}}
}

// linked is a symbol of a file that is linked into the process, and that imports nothing.
var linked = string((&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor().FullName())

// TestFiles_AreMarshalledOnce has clients ask for a file again and again, and when the services have changed.
func TestFiles_AreMarshalledOnce(t *testing.T) {
	server := runtime.NewServer(runtime.ServerOptions{})
	s := &servicer{cache{server: server}}
	ask := func() []byte {
		answer, err := s.answer(t.Context(), bySymbol(linked))
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetFileDescriptorResponse().GetFileDescriptorProto()[0]
	}
	first := ask()
	for range 3 {
		if again := ask(); &again[0] != &first[0] {
			t.Fatal("the file was marshalled again")
		}
	}
	if err := server.AddService(runtime.Service{Name: "z.Other"}); err != nil {
		t.Fatal(err)
	}
	if again := ask(); string(again) != string(first) {
		t.Error("the file has changed with the services")
	}
	if n := len(s.files().encoded); n != 1 {
		t.Errorf("%d files are kept, of one that was asked for", n)
	}
}

// TestFiles_KeepNothingOfWhatIsNotThere has clients ask for what there is not.
func TestFiles_KeepNothingOfWhatIsNotThere(t *testing.T) {
	s := &servicer{cache{server: runtime.NewServer(runtime.ServerOptions{})}}
	for _, name := range []string{"a", "a.b", "", ".", linked + "x"} {
		if answer, err := s.answer(t.Context(), bySymbol(name)); err != nil || answer.GetErrorResponse() == nil {
			t.Errorf("%q: %v, %v", name, answer, err)
		}
	}
	if n := len(s.files().encoded); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}

// slowClient sends one request, and takes the answer once that request is no more.
type slowClient struct {
	make    func() *request
	dropped chan struct{} // closed when the request is no more
	answer  *response
}

func (c *slowClient) Next() (*request, error) {
	if c.make == nil {
		return nil, io.EOF
	}
	r := c.make()
	c.make = nil
	goruntime.AddCleanup(r, func(dropped chan struct{}) { close(dropped) }, c.dropped)
	return r, nil
}

func (c *slowClient) All() iter.Seq2[*request, error] {
	return func(yield func(*request, error) bool) {
		for {
			if r, err := c.Next(); err == io.EOF || !yield(r, err) {
				return
			}
		}
	}
}

func (c *slowClient) Send(answer *response) error {
	c.answer = answer
	for {
		goruntime.GC()
		select {
		case <-c.dropped:
			return nil
		default:
			goruntime.Gosched()
		}
	}
}

// TestRequest_IsDropped has the answers to large requests wait, and the requests gone.
func TestRequest_IsDropped(t *testing.T) {
	large := strings.Repeat("a.", 1<<19)
	for name, ask := range map[string]func() *request{
		"Symbol": func() *request { return bySymbol(large) },
		"Host":   func() *request { return &request{Host: large} },
		"UnknownFields": func() *request {
			r := bySymbol(linked)
			r.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 15, protowire.BytesType), large))
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &servicer{cache{server: runtime.NewServer(runtime.ServerOptions{})}}
			c := &slowClient{make: ask, dropped: make(chan struct{})}
			if err := s.ServerReflectionInfo(t.Context(), c, c); err != nil {
				t.Fatal(err)
			}
			if size := proto.Size(c.answer); size > maxRequest {
				t.Errorf("the answer has %d octets", size)
			}
			if got := c.answer.GetErrorResponse(); got.GetErrorCode() != int32(codes.InvalidArgument) || c.answer.OriginalRequest != nil {
				t.Errorf("the answer is %v", c.answer)
			}
		})
	}
}

// TestRequests_CostTheSame counts what requests allocate, of servers with few services and with many. A client that lists
// services sends two octets.
func TestRequests_CostTheSame(t *testing.T) {
	list := &request{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	allocated := func(services int, ask *request) float64 {
		server := runtime.NewServer(runtime.ServerOptions{})
		for i := range services {
			echo := runtime.UnaryUnary(func(_ context.Context, m *runtime.RawMessage) (*runtime.RawMessage, error) { return m, nil })
			service := runtime.Service{Name: fmt.Sprintf("t.S%d", i), Methods: map[string]*runtime.MethodHandler{"M": echo}}
			if err := server.AddService(service); err != nil {
				t.Fatal(err)
			}
		}
		s := &servicer{cache{server: server}}
		ctx := context.WithValue(t.Context(), carrier.Unobserved{}, true)
		return testing.AllocsPerRun(20, func() {
			answer, err := s.respond(ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := proto.Marshal(answer); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, ask := range map[string]*request{"List": list, "Symbol": bySymbol("x"), "Nothing": {}} {
		if few, many := allocated(1, ask), allocated(300, ask); many > few+2 {
			t.Errorf("%s: a request takes %v allocations with one service, and %v with 300", name, few, many)
		}
	}
}

// TestListServices_IsMarshalledOnce has clients list the services when nobody else looks.
func TestListServices_IsMarshalledOnce(t *testing.T) {
	server := runtime.NewServer(runtime.ServerOptions{})
	s := &servicer{cache{server: server}}
	ctx := context.WithValue(t.Context(), carrier.Unobserved{}, true)
	list := func() []byte {
		answer, err := s.answer(ctx, &request{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		if err != nil {
			t.Fatal(err)
		}
		return answer.ProtoReflect().GetUnknown()
	}
	for range 2 {
		first := list()
		if again := list(); len(again) == 0 || &again[0] != &first[0] {
			t.Error("the list was marshalled again")
		}
		if err := server.AddService(runtime.Service{Name: fmt.Sprintf("z.%d", len(server.Services()))}); err != nil {
			t.Fatal(err)
		}
		if changed := list(); len(changed) <= len(first) {
			t.Error("the list does not change with the services")
		}
	}
}
