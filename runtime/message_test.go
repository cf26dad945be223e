package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// drainAndCount is a method that answers with the requests it got, joined.
func drainAndCount(c cardinality) *MethodHandler {
	return handlerOf(c, func(call *testCall) error {
		got, err := call.drain()
		if err != nil {
			return err
		}
		return call.send(rawOf(strings.Join(got, "|")))
	})
}

// drainAndCountAll has such a handler for each cardinality, under its name.
func drainAndCountAll() handlers {
	methods := handlers{}
	for _, c := range cardinalities {
		methods[c.name] = drainAndCount(c)
	}
	return methods
}

// TestMessage_CutAnywhere sends one message in two DATA frames, cut at every octet, and in frames of one octet.
func TestMessage_CutAnywhere(t *testing.T) {
	for _, c := range cardinalities {
		for _, size := range []int{0, 1, 20, wire.SmallMessage, wire.SmallMessage + 1} {
			runInBubble(t, fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": drainAndCount(c)})
				client := s.dial()
				message := strings.Repeat("x", size)
				content := lpm(0, message)
				for cut := 0; cut <= len(content); cut++ {
					for _, endInData := range []bool{false, true} {
						st := client.open("/t.S/M")
						client.do(func(framer *http2.Framer) {
							framer.WriteData(st.id, false, content[:cut])
							framer.WriteData(st.id, endInData, content[cut:])
							if !endInData {
								framer.WriteData(st.id, true, nil)
							}
						})
						st.result().want(codes.OK, "", message)
					}
				}
				st := client.open("/t.S/M")
				for i := range content {
					st.sendData(content[i : i+1])
				}
				st.halfClose()
				st.result().want(codes.OK, "", message)
			})
		}
	}
}

// TestMessage_ManyInOneFrame sends many messages in one DATA frame, and across the borders of two.
func TestMessage_ManyInOneFrame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": drainAndCount(cardinality{name: "StreamUnary", requestStreaming: true})})
		client := s.dial()
		messages := []string{"", "a", "", "bc", strings.Repeat("d", 300), "", "e"}
		var content []byte
		for _, m := range messages {
			content = append(content, lpm(0, m)...)
		}
		for cut := 0; cut <= len(content); cut++ {
			st := client.open("/t.S/M")
			client.do(func(framer *http2.Framer) {
				framer.WriteData(st.id, false, content[:cut])
				framer.WriteData(st.id, true, content[cut:])
			})
			st.result().want(codes.OK, "", strings.Join(messages, "|"))
		}
	})
}

// TestMessage_Limits is about the size of requests and responses.
func TestMessage_Limits(t *testing.T) {
	const limit = 4 << 20
	large := strings.Repeat("x", limit)
	tests := []struct {
		name    string
		options ServerOptions
		content []byte
		open    bool // the client does not half-close
		code    codes.Code
		details string
	}{
		{"DefaultAtLimit", ServerOptions{}, lpm(0, large), false, codes.OK, ""},
		{
			"DefaultOverLimit",
			ServerOptions{},
			lpm(0, large+"x"), false,
			codes.ResourceExhausted, "Received message larger than max (4194305 vs. 4194304)",
		},
		{
			"OverLimitFromThePrefixAlone",
			ServerOptions{},
			lpm(0, large+"x")[:5], true,
			codes.ResourceExhausted, "Received message larger than max (4194305 vs. 4194304)",
		},
		{
			"LargestAnnounced",
			ServerOptions{},
			[]byte{0, 0xff, 0xff, 0xff, 0xff},
			true,
			codes.ResourceExhausted, "Received message larger than max (4294967295 vs. 4194304)",
		},
		{"AtLimit", ServerOptions{MaxReceiveMessageBytes: 100}, lpm(0, large[:100]), false, codes.OK, ""},
		{
			"OverLimit",
			ServerOptions{MaxReceiveMessageBytes: 100},
			lpm(0, large[:101]), false,
			codes.ResourceExhausted, "Received message larger than max (101 vs. 100)",
		},
		{"NoLimit", ServerOptions{MaxReceiveMessageBytes: -1}, lpm(0, large+large), false, codes.OK, ""},
		{"SendAtLimit", ServerOptions{MaxSendMessageBytes: 1000}, lpm(0, large[:1000]), false, codes.OK, ""},
		{
			"SendOverLimit",
			ServerOptions{MaxSendMessageBytes: 1000},
			lpm(0, large[:1001]), false,
			codes.ResourceExhausted, "Sent message larger than max (1001 vs. 1000)",
		},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				s := newTestServer(t, tt.options, handlers{"M": drainAndCount(c)})
				client := s.dial()
				st := client.open("/t.S/M")
				st.sendPatiently(tt.content)
				if !tt.open {
					st.halfClose()
				}
				r := st.result()
				if tt.code == codes.OK {
					r.want(codes.OK, "", string(tt.content[5:]))
				} else {
					r.want(tt.code, tt.details)
				}
				client.call("/t.S/M", "next").result().want(codes.OK, "", "next")
			})
		}
	}
}

// TestMessage_SendLimitAfterResponses checks that the responses before the one that is too large arrive.
func TestMessage_SendLimitAfterResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var errs []error
		s := newTestServer(t, ServerOptions{MaxSendMessageBytes: 3}, handlers{"M": UnaryStream(
			func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
				for _, m := range []string{"one", "four", "two"} {
					errs = append(errs, responses.Send(rawOf(m)))
				}
				return nil
			})})
		s.dial().call("/t.S/M", "").result().
			want(codes.ResourceExhausted, "Sent message larger than max (4 vs. 3)", "one")
		synctest.Wait() // the handler goes on when the status has been sent
		if errs[0] != nil || errs[1] == nil || errs[2] == nil {
			t.Errorf("Send returned %q", errs)
		}
	})
}

// TestMessage_Broken is what is wrong with messages, and what is answered.
func TestMessage_Broken(t *testing.T) {
	tests := []struct {
		name    string
		content []byte
		fields  []string
		code    codes.Code
		details string
	}{
		{"FlagWithoutEncoding", lpm(1, "x"), nil, codes.Internal, "Compressed-Flag is set, but grpc-encoding is identity or missing"},
		{
			"FlagWithIdentity", lpm(1, "x"),
			[]string{"grpc-encoding", "identity"},
			codes.Internal, "Compressed-Flag is set, but grpc-encoding is identity or missing",
		},
		{"Flag2", lpm(2, "x"), nil, codes.Internal, "Compressed-Flag is 2; it is 0 or 1"},
		{"Flag255", lpm(255, "x"), []string{"grpc-encoding", "gzip"}, codes.Internal, "Compressed-Flag is 255; it is 0 or 1"},
		{"TruncatedMessage", lpm(0, "xyz")[:7], nil, codes.Internal, "the request ended in the middle of a message"},
		{"TruncatedPrefix", lpm(0, "xyz")[:3], nil, codes.Internal, "the request ended in the middle of a message"},
		{"PrefixOnly", lpm(0, "xyz")[:5], nil, codes.Internal, "the request ended in the middle of a message"},
		{"LeftOver", append(lpm(0, "xyz"), 0), nil, codes.Internal, "the request ended in the middle of a message"},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": drainAndCount(c)})
				client := s.dial()
				st := client.open("/t.S/M", tt.fields...)
				st.sendData(tt.content)
				st.halfClose()
				st.result().want(tt.code, tt.details)
				client.call("/t.S/M", "next").result().want(codes.OK, "", "next")
			})
		}
	}
}

// TestMessage_Undecodable is about requests that are not what the method takes.
func TestMessage_Undecodable(t *testing.T) {
	deep := strings.Repeat("\x0b", 100_000) // groups in groups
	undecodable := map[string]string{"Garbage": "\xff\xff", "NotUTF8": "\x0a\x02\xff\xfe", "Deep": deep, "WrongLength": "\x0a\x7fx"}
	var iteratorErr error
	methods := handlers{
		"Unary": UnaryUnary(func(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			return nil, errors.New("the handler was called")
		}),
		"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[wrapperspb.StringValue]) (*wrapperspb.StringValue, error) {
			n := 0
			for _, err := range requests.All() {
				if iteratorErr = err; err == nil {
					n++
				}
			}
			if _, err := requests.Next(); err == nil || n != 1 {
				iteratorErr = fmt.Errorf("%d requests, and then %v", n, err)
			}
			return wrapperspb.String("not sent"), nil
		}),
	}
	for name, request := range undecodable {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, methods)
			client := s.dial()
			client.call("/t.S/Unary", request).result().want(codes.Internal, "Exception deserializing request!")
			st := client.call("/t.S/Stream", "\x0a\x01a", request)
			st.result().want(codes.Internal, "Exception deserializing request!")
			synctest.Wait() // the handler goes on after the status has been sent
			wantStatus(t, iteratorErr, codes.Internal, "Exception deserializing request!")
			if got := len(s.log.lines("Exception deserializing message!")); got != 2 {
				t.Errorf("%d records in the log:\n%v", got, s.log)
			}
		})
	}
}
