package main

import (
	"context"
	"errors"
	"io"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	pb "github.com/gogreeter/gogreeter/interop/conformance/conformancepb"
	"github.com/gogreeter/gogreeter/runtime"
)

// servicer does what each request's response definition says. Unimplemented is left to the embedded type.
type servicer struct {
	pb.UnimplementedConformanceServiceServicer
}

func (servicer) Unary(ctx context.Context, request *pb.UnaryRequest) (*pb.UnaryResponse, error) {
	payload, err := answer(ctx, request.GetResponseDefinition(), request)
	return &pb.UnaryResponse{Payload: payload}, err
}

func (servicer) IdempotentUnary(ctx context.Context, request *pb.IdempotentUnaryRequest) (*pb.IdempotentUnaryResponse, error) {
	payload, err := answer(ctx, request.GetResponseDefinition(), request)
	return &pb.IdempotentUnaryResponse{Payload: payload}, err
}

func (servicer) ClientStream(ctx context.Context, requests runtime.RequestIterator[pb.ClientStreamRequest]) (*pb.ClientStreamResponse, error) {
	var all []proto.Message
	var definition *pb.UnaryResponseDefinition
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			definition = request.GetResponseDefinition()
		}
		all = append(all, request)
	}
	payload, err := answer(ctx, definition, all...)
	return &pb.ClientStreamResponse{Payload: payload}, err
}

// answer makes the one response of an RPC that has one.
func answer(ctx context.Context, definition *pb.UnaryResponseDefinition, requests ...proto.Message) (*pb.ConformancePayload, error) {
	info, err := requestInfo(ctx, requests)
	if err != nil {
		return nil, err
	}
	if definition != nil {
		if err := sendMetadata(ctx, definition); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, definition.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	if failure := definition.GetError(); failure != nil {
		return nil, statusOf(failure, info)
	}
	return &pb.ConformancePayload{Data: definition.GetResponseData(), RequestInfo: info}, nil
}

func (servicer) ServerStream(ctx context.Context, request *pb.ServerStreamRequest, responses runtime.ResponseStream[pb.ServerStreamResponse]) error {
	a := answers{definition: request.GetResponseDefinition(), send: func(payload *pb.ConformancePayload) error {
		return responses.Send(&pb.ServerStreamResponse{Payload: payload})
	}}
	a.requests = append(a.requests, request)
	if err := a.begin(ctx); err != nil {
		return err
	}
	return a.finish(ctx)
}

func (servicer) BidiStream(ctx context.Context, requests runtime.RequestIterator[pb.BidiStreamRequest], responses runtime.ResponseStream[pb.BidiStreamResponse]) error {
	a := answers{send: func(payload *pb.ConformancePayload) error {
		return responses.Send(&pb.BidiStreamResponse{Payload: payload})
	}}
	fullDuplex := false
	for first := true; ; first = false {
		request, err := requests.Next()
		if errors.Is(err, io.EOF) {
			return a.finish(ctx)
		} else if err != nil {
			return err
		}
		a.requests = append(a.requests, request)
		if first {
			a.definition, fullDuplex = request.GetResponseDefinition(), request.GetFullDuplex()
			if err := a.begin(ctx); err != nil {
				return err
			}
		}
		switch {
		case !fullDuplex:
		case a.left() == 0:
			return a.finish(ctx)
		default:
			if err := a.next(ctx); err != nil {
				return err
			}
			a.requests = nil
		}
	}
}

// answers are the responses of an RPC that streams them.
type answers struct {
	definition *pb.StreamResponseDefinition
	send       func(*pb.ConformancePayload) error
	requests   []proto.Message // since the last response
	sent       int
}

func (a *answers) left() int { return len(a.definition.GetResponseData()) - a.sent }

func (a *answers) begin(ctx context.Context) error {
	if a.definition == nil {
		return nil
	}
	return sendMetadata(ctx, a.definition)
}

// next sends a response. The first tells all about the request, later ones what has come since.
func (a *answers) next(ctx context.Context) error {
	payload := &pb.ConformancePayload{Data: a.definition.GetResponseData()[a.sent]}
	var err error
	switch {
	case a.sent == 0:
		payload.RequestInfo, err = requestInfo(ctx, a.requests)
	case len(a.requests) > 0:
		payload.RequestInfo = &pb.ConformancePayload_RequestInfo{}
		payload.RequestInfo.Requests, err = packed(a.requests)
	}
	if err != nil {
		return err
	}
	if err := pause(ctx, a.definition.GetResponseDelayMs()); err != nil {
		return err
	}
	a.sent++
	return a.send(payload)
}

// finish sends what is left of the responses, and returns the error that was asked for.
func (a *answers) finish(ctx context.Context) error {
	for a.left() > 0 {
		if err := a.next(ctx); err != nil {
			return err
		}
		a.requests = nil
	}
	failure := a.definition.GetError()
	if failure == nil {
		return nil
	}
	if a.sent > 0 {
		return statusOf(failure)
	}
	info, err := requestInfo(ctx, a.requests)
	if err != nil {
		return err
	}
	return statusOf(failure, info)
}

// requestInfo is what the suite wants to hear of a request.
func requestInfo(ctx context.Context, requests []proto.Message) (*pb.ConformancePayload_RequestInfo, error) {
	messages, err := packed(requests)
	info := &pb.ConformancePayload_RequestInfo{Requests: messages, RequestHeaders: headers(runtime.InvocationMetadata(ctx))}
	if deadline, ok := ctx.Deadline(); ok {
		info.TimeoutMs = proto.Int64(max(0, time.Until(deadline)).Milliseconds())
	}
	return info, err
}

func packed(messages []proto.Message) ([]*anypb.Any, error) {
	all := make([]*anypb.Any, len(messages))
	for i, message := range messages {
		var err error
		if all[i], err = anypb.New(message); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// statusOf makes an error with the code, message and details that were asked for, and further details.
func statusOf(failure *pb.Error, further ...proto.Message) error {
	details, err := packed(further)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return status.ErrorProto(&statuspb.Status{
		Code: int32(failure.GetCode()), Message: failure.GetMessage(), Details: append(failure.GetDetails(), details...),
	})
}

// pause waits for as long as the client wants, and no longer than it waits itself.
func pause(ctx context.Context, milliseconds uint32) error {
	if milliseconds == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
