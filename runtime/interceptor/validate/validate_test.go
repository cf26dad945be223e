package validate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	rules "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor/validate"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// song is a message with a title of three characters at least:
//
//	message Song { string title = 1 [(buf.validate.field).string.min_len = 3]; }
type song struct{ message *dynamicpb.Message }

func (s *song) ProtoReflect() protoreflect.Message {
	if s.message == nil {
		s.message = dynamicpb.NewMessage(songDescriptor)
	}
	return s.message.ProtoReflect()
}

func newSong(title string) *song {
	s := &song{}
	s.ProtoReflect().Set(songDescriptor.Fields().ByName("title"), protoreflect.ValueOfString(title))
	return s
}

func (s *song) title() string {
	return s.ProtoReflect().Get(songDescriptor.Fields().ByName("title")).String()
}

var songDescriptor = describeSong()

func describeSong() protoreflect.MessageDescriptor {
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, rules.E_Field, rules.FieldRules_builder{
		String: rules.StringRules_builder{MinLen: proto.Uint64(3)}.Build(),
	}.Build())
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("song.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
		Dependency: []string{"buf/validate/validate.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Song"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("title"), Number: proto.Int32(1), Options: options,
				Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return file.Messages().Get(0)
}

// serve starts a server whose methods answer with the title without exclamation, and returns a connection to it.
func serve(t *testing.T, options validate.Options) *grpc.ClientConn {
	t.Helper()
	answer := func(request *song) *song { return newSong(strings.TrimSuffix(request.title(), "!!!")) }
	server, err := runtimetest.NewServer(
		runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{validate.Requests(options)}},
		func(r runtime.Registrar) error {
			return r.AddService(runtime.Service{Name: "t.S", Methods: map[string]*runtime.MethodHandler{
				"Unary": runtime.UnaryUnary(func(_ context.Context, request *song) (*song, error) { return answer(request), nil }),
				"Stream": runtime.StreamStream(func(_ context.Context, requests runtime.RequestIterator[song], responses runtime.ResponseStream[song]) error {
					for request, err := range requests.All() {
						if err != nil {
							return err
						}
						if err := responses.Send(answer(request)); err != nil {
							return err
						}
					}
					return nil
				}),
				"Raw": runtime.UnaryUnary(func(_ context.Context, request *runtime.RawMessage) (*runtime.RawMessage, error) {
					return request, nil
				}),
			}})
		})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Close()
	})
	return conn
}

// broken is a validator that cannot make sense of the rules.
type broken struct{}

func (broken) Validate(proto.Message, ...protovalidate.ValidationOption) error {
	return errors.New("no sense")
}

func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		options      validate.Options
		title        string
		code         codes.Code
		details      string
	}{
		{"Valid", "Unary", validate.Options{}, "abc", codes.OK, ""},
		{"Invalid", "Unary", validate.Options{}, "ab", codes.InvalidArgument, "validation error: title: must be at least 3 characters"},
		{"NotProtobuf", "Raw", validate.Options{Responses: true}, "ab", codes.OK, ""},
		{"ResponsesAreNotAskedFor", "Unary", validate.Options{}, "ab!!!", codes.OK, ""},
		{
			"InvalidResponse", "Unary",
			validate.Options{Responses: true},
			"ab!!!",
			codes.Internal, "the response is not valid: validation error: title: must be at least 3 characters",
		},
		{
			"BrokenRules", "Unary",
			validate.Options{Validator: broken{}},
			"abc",
			codes.Internal, "the request cannot be validated: no sense",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := serve(t, tt.options).Invoke(t.Context(), "/t.S/"+tt.method, newSong(tt.title), &song{})
			if st := status.Convert(err); st.Code() != tt.code || st.Message() != tt.details {
				t.Errorf("got %v %q, want %v %q", st.Code(), st.Message(), tt.code, tt.details)
			}
		})
	}
}

// countless is a validator that finds a violation for each octet of a message, unless it is to stop at the first.
type countless struct{ found int }

func (c *countless) Validate(message proto.Message, options ...protovalidate.ValidationOption) error {
	invalid := &protovalidate.ValidationError{}
	for i := range proto.Size(message) {
		c.found++
		invalid.Violations = append(invalid.Violations, &protovalidate.Violation{
			Proto: rules.Violation_builder{Message: proto.String(fmt.Sprint("violation ", i))}.Build(),
		})
		if len(options) > 0 {
			break
		}
	}
	return invalid
}

// TestRequests_BoundsViolations has requests with one violation more than is told, with very many, and with too many to
// look for.
func TestRequests_BoundsViolations(t *testing.T) {
	for _, tt := range []struct {
		name         string
		title        int // octets; two more are the field's
		found, told  int
		endOfDetails string
	}{
		{"All", 14, 17, 16, "violation 15"},
		{"OneMore", 15, 18, 16, "and 1 more"},
		{"Many", 1 << 10, 1<<10 + 4, 16, "and 1011 more"},
		{"Countless", 1 << 20, 1, 1, "violation 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			validator := &countless{}
			title := strings.Repeat("a", tt.title)
			err := serve(t, validate.Options{Validator: validator}).Invoke(t.Context(), "/t.S/Unary", newSong(title), &song{})
			st := status.Convert(err)
			if st.Code() != codes.InvalidArgument || !strings.HasSuffix(st.Message(), tt.endOfDetails) {
				t.Errorf("got %v %q, want …%q", st.Code(), st.Message(), tt.endOfDetails)
			}
			if validator.found != tt.found {
				t.Errorf("%d violations were looked for, want %d", validator.found, tt.found)
			}
			bad, _ := st.Details()[0].(*errdetails.BadRequest)
			if told := len(bad.GetFieldViolations()); told != tt.told {
				t.Errorf("%d violations are told, want %d", told, tt.told)
			}
		})
	}
}

func TestRequests_TellsDetails(t *testing.T) {
	err := serve(t, validate.Options{}).Invoke(t.Context(), "/t.S/Unary", newSong(""), &song{})
	details := status.Convert(err).Details()
	if len(details) != 2 {
		t.Fatalf("got %v", details)
	}
	bad, _ := details[0].(*errdetails.BadRequest)
	if v := bad.GetFieldViolations(); len(v) != 1 || v[0].GetField() != "title" || v[0].GetReason() != "string.min_len" {
		t.Errorf("got %v", details[0])
	}
	violations, _ := details[1].(*rules.Violations)
	if v := violations.GetViolations(); len(v) != 1 || v[0].GetRuleId() != "string.min_len" {
		t.Errorf("got %v", details[1])
	}
}

// TestRequests_OfStreams has the second request be the one that is not valid.
func TestRequests_OfStreams(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st, err := serve(t, validate.Options{}).NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/t.S/Stream")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []codes.Code{codes.OK, codes.InvalidArgument} {
		title := map[codes.Code]string{codes.OK: "abc", codes.InvalidArgument: "ab"}[want]
		if err := st.SendMsg(newSong(title)); err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(&song{}); status.Code(err) != want {
			t.Errorf("%q: got %v", title, err)
		}
	}
}
