package runtimetest

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime"
)

// Requests is a [runtime.RequestIterator] of messages that are there from the beginning. The zero value is a client that
// sends nothing. It is used by one goroutine at a time.
type Requests[Req any] struct {
	// Messages are what Next returns, one after another.
	Messages []*Req

	// Err is what Next returns after them, in place of io.EOF: how the RPC broke off.
	Err error

	// Recorder is the RPC that the requests are of: Next fails once it is over. If it is nil, nothing ends the requests before
	// their time.
	Recorder *Recorder

	taken int
}

// NewRequests returns the requests of a client that sends messages and then no more.
func NewRequests[Req any](messages ...*Req) *Requests[Req] { return &Requests[Req]{Messages: messages} }

// Next implements runtime.RequestIterator.
func (r *Requests[Req]) Next() (*Req, error) {
	if err := r.Recorder.overError(); err != nil {
		return nil, err
	}
	if r.taken < len(r.Messages) {
		r.taken++
		return r.Messages[r.taken-1], nil
	}
	if r.Err != nil {
		return nil, r.Err
	}
	return nil, io.EOF
}

// All implements runtime.RequestIterator.
func (r *Requests[Req]) All() iter.Seq2[*Req, error] {
	return func(yield func(*Req, error) bool) {
		for {
			request, err := r.Next()
			if err == io.EOF || !yield(request, err) || err != nil {
				return
			}
		}
	}
}

// Remaining returns how many messages the handler has not taken.
func (r *Requests[Req]) Remaining() int { return len(r.Messages) - r.taken }

// Responses is a [runtime.ResponseStream] that keeps what is sent. The zero value takes any number of responses.
type Responses[Res any] struct {
	// Err is what Send returns once Limit responses were sent, in place of sending more: how the RPC broke off.
	Err error

	// Limit is how many responses are sent before Err, if that is not nil.
	Limit int

	// Recorder is the RPC that the responses are of: Send fails once it is over, and is when initial metadata goes out at the
	// latest. If it is nil, the method's other actions and its responses know nothing of each other.
	Recorder *Recorder

	mu sync.Mutex
	// Guarded by mu.
	sent   []*Res
	failed error // why a response could not be sent, which has ended the RPC
}

// Format implements fmt.Formatter: it prints the type and the address. Package fmt would read all fields, while the handler
// writes them.
func (r *Responses[Res]) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%T)(%p)", r, r) }

// Send implements runtime.ResponseStream. It keeps a copy: the handler may use the message again. A response that is nil, or
// cannot be encoded, is an error and ends the RPC, as with a server.
func (r *Responses[Res]) Send(response *Res) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := encodable(response); err != nil {
		r.Recorder.finish(err)
		r.failed = cmp.Or(r.failed, err)
		return err
	}
	switch {
	case r.failed != nil:
		return cmp.Or(r.Recorder.overError(), r.failed)
	case r.Err != nil && len(r.sent) >= r.Limit:
		return r.Err
	}
	if err := r.Recorder.send(); err != nil {
		return err
	}
	r.sent = append(r.sent, clone(response))
	return nil
}

// Sent returns the responses that were sent.
func (r *Responses[Res]) Sent() []*Res {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Res(nil), r.sent...)
}

// clone returns a copy of a message.
func clone[T any](message *T) *T {
	if copied, ok := copyOf(message).(*T); ok && copied != message {
		return copied
	}
	copied := *message
	return &copied
}

// copyOf returns a copy of a message if it is of a type that a handler can have, and otherwise the message itself.
func copyOf(message any) any {
	switch m := message.(type) {
	case proto.Message:
		return proto.Clone(m)
	case *runtime.RawMessage:
		return &runtime.RawMessage{Data: append([]byte(nil), m.Data...)}
	}
	return message
}
