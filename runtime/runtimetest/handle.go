package runtimetest

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// Handle has the handler of a method, of any cardinality, handle the RPC, as a server does whose client sends requests and
// half-closes. It returns the responses that the client gets, and how the RPC ends, as [Recorder.Return] does, which it
// calls. Requests are encoded, and decoded into what the handler receives. ctx is that of [NewContext], or one made from it.
//
// Handlers of servicers are simpler to test by a call of their method. This is for those that [runtime.NewMethodHandler] makes.
func (r *Recorder) Handle(ctx context.Context, handler *runtime.MethodHandler, requests ...any) (responses []any, err error) {
	x := &exchange{recorder: r}
	response, err := carrier.Handle(ctx, handler, r.rpc.Method, slices.Clone(requests), x)
	if err = r.Return(nil, err); err == nil && response != nil {
		x.keep(response)
	}
	return x.responses(), err
}

// exchange is the streams of an RPC without a server. It implements carrier.Exchange.
type exchange struct {
	recorder *Recorder

	mu   sync.Mutex
	sent []any // copies. Guarded by mu.
}

// String implements carrier.Exchange, as a server's RPC does.
func (x *exchange) String() string { return fmt.Sprintf("RPC %q", x.recorder.rpc.Method) }

// Fields implements carrier.Exchange. They are what a client has to send.
func (x *exchange) Fields() iter.Seq2[string, string] {
	rpc := &x.recorder.rpc
	return func(yield func(name, value string) bool) {
		all := runtime.Metadata{
			{Key: ":method", Value: "POST"},
			{Key: ":scheme", Value: "http"},
			{Key: ":path", Value: rpc.Method},
			{Key: ":authority", Value: cmp.Or(rpc.Authority, defaultAuthority)},
			{Key: "content-type", Value: "application/grpc"},
			{Key: "te", Value: "trailers"},
		}
		for _, p := range append(all, rpc.InvocationMetadata...) {
			if strings.HasSuffix(p.Key, "-bin") {
				p.Value = base64.RawStdEncoding.EncodeToString([]byte(p.Value))
			}
			if !yield(p.Key, p.Value) {
				return
			}
		}
	}
}

// Over implements carrier.Exchange.
func (x *exchange) Over() error { return x.recorder.overError() }

// Fail implements carrier.Exchange.
func (x *exchange) Fail(err error) { x.recorder.finish(err) }

// Send implements carrier.Exchange.
func (x *exchange) Send(response any) error {
	if err := x.recorder.send(); err != nil {
		return err
	}
	x.keep(response)
	return nil
}

func (x *exchange) keep(response any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent = append(x.sent, copyOf(response))
}

func (x *exchange) responses() []any {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent
}
