package runtime

import (
	"context"
	"io"
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// rehearsal is an RPC without a server, as the behavior of a method sees it: package runtimetest's.
type rehearsal struct {
	carrier.Exchange

	mu       sync.Mutex
	requests []any // those that have not been taken. Guarded by mu.
}

// rehearse is carrier.Handle.
func rehearse(ctx context.Context, handler any, path string, requests []any, x carrier.Exchange) (response any, err error) {
	h := handler.(*MethodHandler)
	if err := h.check(); err != nil {
		return nil, err
	}
	if !h.cardinality.RequestStreaming() && len(requests) != 1 {
		return nil, notOneRequest(path).Err()
	}
	response, err = h.behavior(ctx, &rehearsal{Exchange: x, requests: requests})
	switch {
	case err != nil || h.cardinality.ResponseStreaming():
		return nil, err
	case response == nil:
		return nil, outcomeUnserializable.Err()
	}
	return response, h.responses.check(response)
}

// fields implements exchange.
func (x *rehearsal) fields() Metadata {
	var all Metadata
	for name, value := range x.Fields() {
		all = append(all, Pair{name, value})
	}
	return all
}

// take returns the next request as a client would send it.
func (x *rehearsal) take() (message, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.requests) == 0 {
		return message{}, io.EOF
	}
	next := x.requests[0]
	x.requests = x.requests[1:]
	data, err := anyCodec.encode(nil, next)
	return message{data: data}, err
}

// decodeRequest implements exchange.
func (x *rehearsal) decodeRequest(_ context.Context, c *codec, into any) error {
	m, err := x.take()
	if err != nil {
		return err
	}
	return decodeRehearsed(c, m, into)
}

// nextMessage implements exchange.
func (x *rehearsal) nextMessage() (message, error) {
	if err := x.Over(); err != nil {
		return message{}, err
	}
	return x.take()
}

// decodeNext implements exchange.
func (x *rehearsal) decodeNext(_ context.Context, c *codec, m message, into any) error {
	err := decodeRehearsed(c, m, into)
	if err != nil {
		x.Fail(err)
	}
	return err
}

func decodeRehearsed(c *codec, m message, into any) error {
	if _, err := c.decodeInto(m.data, into); err != nil {
		return outcomeUndecodable.Err()
	}
	return nil
}

// send implements exchange.
func (x *rehearsal) send(_ context.Context, c *codec, response any) error {
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

// unserializable implements exchange.
func (*rehearsal) unserializable(any) error { return outcomeUnserializable.Err() }
