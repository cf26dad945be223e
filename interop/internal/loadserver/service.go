package main

import (
	"bytes"
	"context"
	"strconv"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
)

// payload is the message of all methods.
type payload = wrapperspb.BytesValue

// size is what the messages of a download have, in octets.
const size = 5000

// service is load.Load. RPCs of its method Park return when release is closed, or when they are over.
func service(release <-chan struct{}) runtime.Service {
	return runtime.Service{Name: "load.Load", Methods: map[string]*runtime.MethodHandler{
		"Echo":     runtime.UnaryUnary(func(_ context.Context, request *payload) (*payload, error) { return request, nil }),
		"Upload":   runtime.StreamUnary(upload),
		"Download": runtime.UnaryStream(download),
		"Chat":     runtime.StreamStream(chat),
		"Park": runtime.UnaryUnary(func(ctx context.Context, request *payload) (*payload, error) {
			select {
			case <-release:
				return request, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}),
	}}
}

// upload answers with the number of octets that have come.
func upload(_ context.Context, requests runtime.RequestIterator[payload]) (*payload, error) {
	n := 0
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		n += len(request.GetValue())
	}
	return wrapperspb.Bytes([]byte(strconv.Itoa(n))), nil
}

// download sends as many messages as the request says. The octets of each are its number.
func download(_ context.Context, request *payload, responses runtime.ResponseStream[payload]) error {
	count, err := strconv.Atoi(string(request.GetValue()))
	for i := range count {
		if err := responses.Send(wrapperspb.Bytes(bytes.Repeat([]byte{byte(i)}, size))); err != nil {
			return err
		}
	}
	return err
}

// chat answers each request with itself.
func chat(
	_ context.Context, requests runtime.RequestIterator[payload], responses runtime.ResponseStream[payload],
) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := responses.Send(request); err != nil {
			return err
		}
	}
	return nil
}
