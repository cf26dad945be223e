package codegen

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// TestGenerated_Behavior runs behaviorTest, below, against what is generated for the case cardinalities.
func TestGenerated_Behavior(t *testing.T) {
	dir := codegentest.NewModule(t, "example.com")
	c := goldenCase{name: "cardinalities"}
	writeFiles(t, dir, messages(t, c.request(t, "")))
	writeFiles(t, dir, respond(c.request(t, "parts=servicers+registrars+fakes"), io.Discard))
	codegentest.WriteFile(t, filepath.Join(dir, "cardinalities", "behavior_test.go"), behaviorTest)
	codegentest.Run(t, dir, nil, "go", "test", "./cardinalities")
}

// behaviorTest is a test of the generated package. It needs no server: what it checks is the part of the work that
// generated code does itself.
const behaviorTest = `package cardinalities

import (
	"context"
	"errors"
	"io"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// registrar keeps what is added to it.
type registrar struct{ services []runtime.Service }

func (r *registrar) AddService(s runtime.Service) error {
	r.services = append(r.services, s)
	return nil
}

func TestAdd(t *testing.T) {
	r := &registrar{}
	if err := AddCardinalitiesToServer(UnimplementedCardinalitiesServicer{}, r); err != nil {
		t.Fatal(err)
	}
	s := r.services[0]
	if s.Name != "test.v1.Cardinalities" || string(s.Descriptor.FullName()) != Cardinalities_service {
		t.Errorf("name %q, descriptor %v", s.Name, s.Descriptor)
	}
	for name, path := range map[string]string{
		"Unary": Cardinalities_method_Unary, "Download": Cardinalities_method_Download,
		"Upload": Cardinalities_method_Upload, "Chat": Cardinalities_method_Chat,
	} {
		if s.Methods[name] == nil {
			t.Errorf("no handler of %s", name)
		}
		if want := "/test.v1.Cardinalities/" + name; path != want {
			t.Errorf("method name %q, want %q", path, want)
		}
	}
	if len(s.Methods) != 4 {
		t.Errorf("%d methods", len(s.Methods))
	}
}

func TestAdd_Nil(t *testing.T) {
	err := AddCardinalitiesToServer(nil, &registrar{})
	if err == nil || !strings.Contains(err.Error(), "the servicer of test.v1.Cardinalities is nil") {
		t.Error(err)
	}
	err = AddCardinalitiesToServer(UnimplementedCardinalitiesServicer{}, nil)
	if err == nil || !strings.Contains(err.Error(), "the server for test.v1.Cardinalities is nil") {
		t.Error(err)
	}
}

func wantUnimplemented(t *testing.T, err error) {
	t.Helper()
	if s := status.Convert(err); s.Code() != codes.Unimplemented || s.Message() != "Method not implemented!" {
		t.Error(s)
	}
}

func TestUnimplemented(t *testing.T) {
	for _, servicer := range []CardinalitiesServicer{UnimplementedCardinalitiesServicer{}, &UnimplementedCardinalitiesServicer{}, &FakeCardinalitiesServicer{}} {
		_, err := servicer.Unary(t.Context(), nil)
		wantUnimplemented(t, err)
		wantUnimplemented(t, servicer.Download(t.Context(), nil, nil))
		_, err = servicer.Upload(t.Context(), nil)
		wantUnimplemented(t, err)
		wantUnimplemented(t, servicer.Chat(t.Context(), nil, nil))
	}
}

// requests is a stream of requests.
type requests []*Request

func (r *requests) Next() (*Request, error) {
	if len(*r) == 0 {
		return nil, io.EOF
	}
	first := (*r)[0]
	*r = (*r)[1:]
	return first, nil
}

func (r *requests) All() iter.Seq2[*Request, error] {
	return func(yield func(*Request, error) bool) {
		for {
			request, err := r.Next()
			if err == io.EOF || !yield(request, err) {
				return
			}
		}
	}
}

func TestFake_RecordsCalls(t *testing.T) {
	a, b, want := &Request{}, &Request{}, errors.New("stop")
	fake := &FakeCardinalitiesServicer{
		UnaryFunc: func(ctx context.Context, request *Request) (*Response, error) { return nil, want },
		UploadFunc: func(ctx context.Context, requests runtime.RequestIterator[Request]) (*Response, error) {
			for _, err := range requests.All() {
				if err != nil {
					return nil, err
				}
			}
			return &Response{}, nil
		},
		ChatFunc: func(ctx context.Context, requests runtime.RequestIterator[Request], replies runtime.ResponseStream[Response]) error {
			_, err := requests.Next()
			return err
		},
	}
	var servicer CardinalitiesServicer = fake
	if _, err := servicer.Unary(t.Context(), a); err != want {
		t.Error(err)
	}
	if calls := fake.UnaryCalls(); len(calls) != 1 || calls[0].Request != a || calls[0].Context != t.Context() {
		t.Errorf("%v", calls)
	}
	if _, err := servicer.Upload(t.Context(), &requests{a, b}); err != nil {
		t.Error(err)
	}
	if calls := fake.UploadCalls(); len(calls) != 1 || !reflect.DeepEqual(calls[0].Requests, []*Request{a, b}) {
		t.Errorf("%v", calls)
	}
	for range 2 {
		if err := servicer.Chat(t.Context(), &requests{b, a}, nil); err != nil {
			t.Error(err)
		}
	}
	if calls := fake.ChatCalls(); len(calls) != 2 || len(calls[1].Requests) != 1 || calls[1].Requests[0] != b {
		t.Errorf("%v", calls)
	}
	if calls := fake.DownloadCalls(); len(calls) != 0 {
		t.Errorf("%v", calls)
	}
}
`
