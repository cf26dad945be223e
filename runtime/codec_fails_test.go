package runtime

import (
	"context"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
)

// badMessage is a message whose own code does what its content says.
type badMessage struct{ data string }

func (m *badMessage) do(at string) {
	switch m.data {
	case at + "Panic":
		panic("boom")
	case at + "PanicNil":
		panic(nil)
	case at + "Goexit":
		goruntime.Goexit()
	}
}

func (m *badMessage) SizeVT() int { m.do("Size"); return len(m.data) }

func (m *badMessage) MarshalToSizedBufferVT(b []byte) (int, error) {
	m.do("Marshal")
	return copy(b, m.data), nil
}

func (m *badMessage) UnmarshalVT(b []byte) error {
	m.data = string(b)
	m.do("Unmarshal")
	return nil
}

// TestRPC_CodecFails has the code of messages end by panics and Goexit: it is the RPC's end, and nobody else's. A panic is
// what an exception of a serializer is in grpc-python.
func TestRPC_CodecFails(t *testing.T) {
	methods := handlers{
		"Unary": UnaryUnary(func(_ context.Context, m *badMessage) (*badMessage, error) { return m, nil }),
		"Inline": UnaryUnary(func(_ context.Context, m *badMessage) (*badMessage, error) {
			return m, nil
		}).WithExecutor(Inline),
		"Stream": StreamStream(func(_ context.Context, requests RequestIterator[badMessage], responses ResponseStream[badMessage]) error {
			m, err := requests.Next()
			if err != nil {
				return err
			}
			return responses.Send(m)
		}),
	}
	for method := range methods {
		for _, at := range []string{"Size", "Marshal", "Unmarshal"} {
			for _, how := range []string{"Panic", "PanicNil", "Goexit"} {
				runInBubble(t, method+"/"+at+how, func(t *testing.T) {
					s := newTestServer(t, ServerOptions{}, methods)
					c := s.dial()
					want, details, record := codes.Internal, "Failed to serialize response!", "Exception serializing message!"
					switch {
					case how == "Goexit":
						record = "Exception calling application"
						want, details = codes.Unknown, record+": the handler ended its goroutine (runtime.Goexit)"
					case at == "Unmarshal":
						details, record = "Exception deserializing request!", "Exception deserializing message!"
					}
					c.call("/t.S/"+method, at+how).result().want(want, details)
					c.call("/t.S/"+method, "fine").result().want(codes.OK, "", "fine")
					synctest.Wait() // the handler goes on after the status has been sent
					records := s.log.lines(record)
					if len(records) != 1 || s.active.Load() != 0 {
						t.Fatalf("%d records in the log, %d RPCs still counted", len(records), s.active.Load())
					}
					if !strings.Contains(records[0], "level=ERROR") || !strings.Contains(records[0], "(*badMessage).do") {
						t.Errorf("the record is no error, or without the stack: %s", records[0])
					}
				})
			}
		}
	}
}
