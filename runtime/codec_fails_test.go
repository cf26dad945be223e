package runtime

import (
	"context"
	goruntime "runtime"
	"testing"

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

// TestRPC_CodecFails has the code of messages end by panics and Goexit: it is the RPC's end, and nobody else's.
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
					s := newTestServer(t, Options{}, methods)
					c := s.dial()
					if code, details := c.call("/t.S/"+method, at+how).result().status(); code != codes.Unknown {
						t.Errorf("got %v %q", code, details)
					}
					c.call("/t.S/"+method, "fine").result().want(codes.OK, "", "fine")
					if n := len(s.log.lines("Exception calling application")); n != 1 || s.active.Load() != 0 {
						t.Errorf("%d records in the log, %d RPCs still counted", n, s.active.Load())
					}
				})
			}
		}
	}
}
