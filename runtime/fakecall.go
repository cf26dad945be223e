package runtime

import (
	"context"
	"io"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// fakeCall is an RPC without a server, as the behavior of a method sees it: package runtimetest's.
type fakeCall struct {
	carrier.Exchange

	mu       locks.Mutex[locks.Alone]
	requests []any // those that have not been taken. Guarded by mu.
}

// runFakeCall is carrier.Handle.
func runFakeCall(ctx context.Context, handler any, path string, requests []any, x carrier.Exchange) (response any, err error) {
	h := handler.(*MethodHandler)
	if err := h.check(); err != nil {
		return nil, err
	}
	if !h.cardinality.RequestStreaming() && len(requests) != 1 {
		return nil, wrongRequestCount(path).Err()
	}
	r, request := &fakeCall{Exchange: x, requests: requests}, any(nil)
	if h.newRequest != nil {
		request = h.newRequest()
		if err := r.decodeRequest(ctx, h.requests, request); err != nil {
			return nil, err
		}
	}
	response, err = h.behavior(ctx, r, request)
	switch {
	case err != nil || h.cardinality.ResponseStreaming():
		return nil, err
	case response == nil:
		return nil, outcomeUnserializable.Err()
	}
	return response, h.responses.check(response)
}

// fields implements exchange.
func (x *fakeCall) fields() Metadata {
	var all Metadata
	for name, value := range x.Fields() {
		all = append(all, Pair{name, value})
	}
	return all
}

// next returns the next request as a client would send it.
func (x *fakeCall) next() ([]byte, error) {
	request, ok := x.take()
	if !ok {
		return nil, io.EOF
	}
	return anyCodec.encode(nil, request) // without mu: this runs the message's code
}

// take takes the next request; ok is false if there is none.
func (x *fakeCall) take() (request any, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.requests) == 0 {
		return nil, false
	}
	request, x.requests = x.requests[0], x.requests[1:]
	return request, true
}

// decodeRequest implements exchange.
func (x *fakeCall) decodeRequest(_ context.Context, c *codec, into any) error {
	data, err := x.next()
	if err != nil {
		return err
	}
	return decodeFake(c, data, into)
}

// receive implements exchange.
func (x *fakeCall) receive(_ context.Context, c *codec, into any) error {
	if err := x.Over(); err != nil {
		return err
	}
	data, err := x.next()
	if err != nil {
		return err
	}
	if err = decodeFake(c, data, into); err != nil {
		x.Fail(err)
	}
	return err
}

func decodeFake(c *codec, data []byte, into any) error {
	if err := c.decodeInto(data, into); err != nil {
		return outcomeUndecodable.Err()
	}
	return nil
}

// send implements exchange.
func (x *fakeCall) send(_ context.Context, c *codec, response any) error {
	err := outcomeUnserializable.Err()
	if response != nil {
		err = c.check(response)
	}
	if err != nil {
		x.Fail(err)
		return err
	}
	return x.Send(response)
}

// logEncodeError implements exchange.
func (*fakeCall) logEncodeError(any) error { return outcomeUnserializable.Err() }
