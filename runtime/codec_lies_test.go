package runtime

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// liar is a message whose code says anything of its size.
type liar struct {
	sizes   []int // what SizeVT returns, the last one again and again; none: it panics
	marshal func(room []byte) (int, error)
}

func (l *liar) SizeVT() int {
	size := l.sizes[0]
	if len(l.sizes) > 1 {
		l.sizes = l.sizes[1:]
	}
	return size
}

func (l *liar) MarshalToSizedBufferVT(b []byte) (int, error) { return l.marshal(b) }
func (l *liar) UnmarshalVT([]byte) error                     { return nil }

// writing returns a function that encodes from the end, as generated code does.
func writing(text string) func([]byte) (int, error) {
	return func(room []byte) (int, error) {
		i := len(room) - len(text)
		copy(room[i:], text) // panics if there is too little room
		return len(text), nil
	}
}

// returning returns a function that writes nothing, and says that it has written n octets.
func returning(n int, err error) func([]byte) (int, error) {
	return func([]byte) (int, error) { return n, err }
}

// TestRPC_CodecLies has the code of a message err about its size in each way. It must be the RPC's end, and nothing of
// what others have left in a pooled buffer may leave.
func TestRPC_CodecLies(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct {
		name    string
		sizes   []int
		marshal func([]byte) (int, error)
		want    string // "": INTERNAL
	}{
		{"Honest", []int{600}, writing(long), long},
		{"Shrinks", []int{600}, writing("short"), "short"},
		{"ShrinksToNothing", []int{600}, writing(""), "empty"},
		{"SizeShrinks", []int{600, 5}, writing("short"), "short"},
		{"SizeGrows", []int{5, 600}, writing(long), long},
		{"WritesNothing", []int{600}, returning(600, nil), strings.Repeat("\x00", 600)},
		{"ReturnsMore", []int{600}, returning(601, nil), ""},
		{"ReturnsMuchMore", []int{600}, returning(math.MaxInt, nil), ""},
		{"ReturnsLess", []int{600}, returning(-1, nil), ""},
		{"Fails", []int{600}, returning(600, errors.New("no")), ""},
		{"TooSmall", []int{5}, writing(long), ""},
		{"Zero", []int{0}, writing("short"), ""},
		{"Negative", []int{-1}, writing("short"), ""},
		{"VeryNegative", []int{math.MinInt}, writing("short"), ""},
		{"TurnsNegative", []int{5, -600}, writing("short"), ""},
		{"Huge", []int{math.MaxInt}, writing("short"), ""},
		{"BeyondThePrefix", []int{math.MaxInt32}, writing("short"), ""},
		{"TurnsHuge", []int{5, math.MaxInt / 8}, writing("short"), ""},
		{"SizePanics", nil, writing("short"), ""},
		{"MarshalPanics", []int{5}, func([]byte) (int, error) { panic("now") }, ""},
	}
	for _, tt := range tests {
		lie := func() *liar { return &liar{sizes: tt.sizes, marshal: tt.marshal} }
		for method, handler := range map[string]*MethodHandler{
			"Unary":  UnaryUnary(func(context.Context, *raw) (*liar, error) { return lie(), nil }),
			"Inline": UnaryUnary(func(context.Context, *raw) (*liar, error) { return lie(), nil }).WithExecutor(Inline),
			"Stream": UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[liar]) error { return responses.Send(lie()) }),
		} {
			runInBubble(t, tt.name+"/"+method, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"Lie": handler, "M": echo()})
				c := s.dial()
				secret := strings.Repeat("secret", 100)
				for range 5 {
					c.call("/t.S/M", secret).result().want(codes.OK, "", secret)
					for range 4 {
						buffer.Put(bytes.Repeat([]byte("secret!!"), 128))
					}
					r := c.call("/t.S/Lie", "x").result()
					if tt.want == "" {
						r.want(codes.Internal, "Failed to serialize response!")
					} else {
						r.want(codes.OK, "", strings.TrimPrefix(tt.want, "empty"))
					}
				}
				c.call("/t.S/M", "alive").result().want(codes.OK, "", "alive")
				synctest.Wait() // the handler goes on after the status has been sent
				if n := s.active.Load(); n != 0 {
					t.Errorf("%d RPCs are still counted", n)
				}
			})
		}
	}
}

// vtList is a recursive message with code as protoc-gen-go-vtproto generates it, which goes as deep as it is told.
type vtList struct{ structpb.ListValue }

func (l *vtList) SizeVT() int { return proto.Size(&l.ListValue) }

func (l *vtList) MarshalToSizedBufferVT(b []byte) (int, error) {
	encoded, err := proto.Marshal(&l.ListValue)
	return copy(b[len(b)-len(encoded):], encoded), err
}

func (l *vtList) UnmarshalVT(b []byte) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || kind != protowire.BytesType {
			return errors.New("malformed")
		}
		inner, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return errors.New("malformed")
		}
		b = b[n+m:]
		if number == 1 || number == 6 { // ListValue.values, Value.list_value
			if err := new(vtList).UnmarshalVT(inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// vtTime is one that is not recursive.
type vtTime struct{ timestamppb.Timestamp }

func (m *vtTime) SizeVT() int                                { return 0 }
func (m *vtTime) MarshalToSizedBufferVT([]byte) (int, error) { return 0, nil }
func (m *vtTime) UnmarshalVT(b []byte) error                 { return proto.Unmarshal(b, &m.Timestamp) }

// depthBomb is a ListValue of lists in lists, as deep as limit octets allow.
func depthBomb(limit int) string {
	var backwards []byte
	number := protowire.Number(6)
	for {
		var head []byte
		number = 7 - number // 1 and 6 in turn, outside 1
		head = protowire.AppendTag(head, number, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(backwards)))
		if len(backwards)+len(head) > limit && number == 6 {
			break
		}
		for i := len(head) - 1; i >= 0; i-- {
			backwards = append(backwards, head[i])
		}
	}
	for i, j := 0, len(backwards)-1; i < j; i, j = i+1, j-1 {
		backwards[i], backwards[j] = backwards[j], backwards[i]
	}
	return string(backwards)
}

// TestMessage_DepthBombs sends the deepest message that the limit allows, to a method of each codec.
func TestMessage_DepthBombs(t *testing.T) {
	const limit = 4 << 20
	bomb := depthBomb(limit)
	defer debug.SetMaxStack(debug.SetMaxStack(128 << 20)) // half of what it takes to follow the bomb to its end
	for name, tt := range map[string]struct {
		handler *MethodHandler
		code    codes.Code
		details string
	}{
		"Proto": {
			UnaryUnary(func(context.Context, *structpb.ListValue) (*raw, error) { return rawOf("served"), nil }),
			codes.Internal, "Exception deserializing request!",
		},
		"VT": {
			UnaryUnary(func(context.Context, *vtList) (*raw, error) { return rawOf("served"), nil }),
			codes.Internal, "Exception deserializing request!",
		},
		"VTStream": {
			StreamUnary(func(_ context.Context, requests RequestIterator[vtList]) (*raw, error) {
				_, err := requests.Next()
				return rawOf("served"), err
			}),
			codes.Internal, "Exception deserializing request!",
		},
		"Raw": {UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf("served"), nil }), codes.OK, ""},
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": tt.handler, "Echo": echo()})
			c := s.dial()
			st := c.open("/t.S/M")
			st.sendPatiently(lpm(0, bomb))
			st.halfClose()
			if tt.code == codes.OK {
				st.result().want(codes.OK, "", "served")
			} else {
				st.result().want(tt.code, tt.details)
			}
			c.call("/t.S/Echo", "alive").result().want(codes.OK, "", "alive")
		})
	}
}

// TestCodecFor_Recursive tells types that can be nested in themselves from others.
func TestCodecFor_Recursive(t *testing.T) {
	for _, tt := range []struct {
		message proto.Message
		want    bool
	}{
		{&structpb.ListValue{}, true},
		{&structpb.Struct{}, true},                      // through a map
		{&descriptorpb.DescriptorProto{}, true},         // directly
		{&descriptorpb.FileDescriptorProto{}, true},     // of others that are
		{&descriptorpb.FileDescriptorSet{}, true},       // at some distance
		{&descriptorpb.ServiceDescriptorProto{}, false}, // many types, some of them twice
		{&anypb.Any{}, false},
		{&timestamppb.Timestamp{}, false},
	} {
		d := tt.message.ProtoReflect().Descriptor()
		for range 2 {
			if got := recursive(d); got != tt.want {
				t.Errorf("%s: recursive is %v", d.FullName(), got)
			}
		}
	}
	for _, tt := range []struct {
		message any
		want    *codec
	}{
		{(*vtList)(nil), protoCodec},
		{&vtList{}, protoCodec},
		{(*vtTime)(nil), vtCodec},
		{&vtTime{}, vtCodec},
		{&vtNumber{}, vtCodec},
		{&structpb.ListValue{}, protoCodec},
	} {
		for range 2 { // the second time it is remembered
			if got, err := codecFor(tt.message); got != tt.want || err != nil {
				t.Errorf("%T: another codec, %v", tt.message, err)
			}
		}
	}
}
