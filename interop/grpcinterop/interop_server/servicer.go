package main

import (
	"context"
	"errors"
	"io"
	"time"

	orcaservicepb "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/gogreeter/gogreeter/runtime"
)

// servicer implements grpc.testing.TestService, as gRPC's interop-test-descriptions.md says. UnimplementedCall and
// UnimplementedService are missing for a reason.
type servicer struct {
	load load
}

func (s *servicer) services() []runtime.Service {
	return []runtime.Service{
		{
			Name: "grpc.testing.TestService",
			Methods: map[string]*runtime.MethodHandler{
				"EmptyCall":           runtime.UnaryUnary(s.emptyCall),
				"UnaryCall":           runtime.UnaryUnary(s.unaryCall),
				"CacheableUnaryCall":  runtime.UnaryUnary(s.unaryCall),
				"StreamingOutputCall": runtime.UnaryStream(s.streamingOutputCall),
				"StreamingInputCall":  runtime.StreamUnary(s.streamingInputCall),
				"FullDuplexCall":      runtime.StreamStream(s.fullDuplexCall),
				"HalfDuplexCall":      runtime.StreamStream(s.halfDuplexCall),
			},
		},
		{
			Name: orcaservicepb.OpenRcaService_ServiceDesc.ServiceName,
			Methods: map[string]*runtime.MethodHandler{
				"StreamCoreMetrics": runtime.UnaryStream(s.load.stream),
			},
		},
	}
}

func (s *servicer) emptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }

func (s *servicer) unaryCall(ctx context.Context, request *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	trailing, err := loadOf(request.GetOrcaPerQueryReport())
	if err != nil {
		return nil, err
	}
	compression := runtime.NoCompression
	if request.GetResponseCompressed().GetValue() {
		compression = runtime.Gzip
	}
	if err := runtime.SetCompression(ctx, compression); err != nil {
		return nil, err
	}
	if err := echoMetadata(ctx, trailing); err != nil {
		return nil, err
	}
	if err := statusOf(request.GetResponseStatus()); err != nil {
		return nil, err
	}
	payload, err := newPayload(request.GetResponseType(), request.GetResponseSize())
	response := &pb.SimpleResponse{Payload: payload}
	if request.GetFillServerId() {
		response.ServerId = "gogreeter"
	}
	return response, err
}

func (s *servicer) streamingOutputCall(ctx context.Context, request *pb.StreamingOutputCallRequest, responses runtime.ResponseStream[pb.StreamingOutputCallResponse]) error {
	for _, parameters := range request.GetResponseParameters() {
		if parameters.GetCompressed().GetValue() {
			if err := runtime.SetCompression(ctx, runtime.Gzip); err != nil {
				return err
			}
			break
		}
	}
	if err := send(ctx, request, responses); err != nil {
		return err
	}
	return statusOf(request.GetResponseStatus())
}

func (s *servicer) streamingInputCall(_ context.Context, requests runtime.RequestIterator[pb.StreamingInputCallRequest]) (*pb.StreamingInputCallResponse, error) {
	var sum int
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		sum += len(request.GetPayload().GetBody())
	}
	return &pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)}, nil
}

func (s *servicer) fullDuplexCall(ctx context.Context, requests runtime.RequestIterator[pb.StreamingOutputCallRequest], responses runtime.ResponseStream[pb.StreamingOutputCallResponse]) error {
	if err := echoMetadata(ctx, nil); err != nil {
		return err
	}
	reporting := false
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := statusOf(request.GetResponseStatus()); err != nil {
			return err
		}
		if report := request.GetOrcaOobReport(); report != nil {
			if !reporting {
				reporting = true
				release, err := s.load.acquire(ctx)
				if err != nil {
					return err
				}
				defer release()
			}
			s.load.set(report)
		}
		if err := send(ctx, request, responses); err != nil {
			return err
		}
	}
	return nil
}

func (s *servicer) halfDuplexCall(ctx context.Context, requests runtime.RequestIterator[pb.StreamingOutputCallRequest], responses runtime.ResponseStream[pb.StreamingOutputCallResponse]) error {
	var all []*pb.StreamingOutputCallRequest
	for {
		request, err := requests.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		all = append(all, request)
	}
	for _, request := range all {
		if err := send(ctx, request, responses); err != nil {
			return err
		}
	}
	return nil
}

// send sends the responses that a request asks for.
func send(ctx context.Context, request *pb.StreamingOutputCallRequest, responses runtime.ResponseStream[pb.StreamingOutputCallResponse]) error {
	for _, parameters := range request.GetResponseParameters() {
		if err := pause(ctx, time.Duration(parameters.GetIntervalUs())*time.Microsecond); err != nil {
			return err
		}
		payload, err := newPayload(request.GetResponseType(), parameters.GetSize())
		if err != nil {
			return err
		}
		if !parameters.GetCompressed().GetValue() {
			if err := runtime.DisableNextMessageCompression(ctx); err != nil {
				return err
			}
		}
		if err := responses.Send(&pb.StreamingOutputCallResponse{Payload: payload}); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for a time, and no longer than the RPC lasts.
func pause(ctx context.Context, duration time.Duration) error {
	if duration <= 0 {
		return nil
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxPayload bounds what a client can have made for it.
const maxPayload = 64 << 20

func newPayload(kind pb.PayloadType, size int32) (*pb.Payload, error) {
	if kind != pb.PayloadType_COMPRESSABLE || size < 0 || size > maxPayload {
		return nil, status.Errorf(codes.InvalidArgument, "no payload of type %v and size %d", kind, size)
	}
	return &pb.Payload{Type: kind, Body: make([]byte, size)}, nil
}

func statusOf(wanted *pb.EchoStatus) error {
	return status.Error(codes.Code(wanted.GetCode()), wanted.GetMessage()) // nil for OK
}

// The keys of what is sent back, and where.
const (
	initialKey  = "x-grpc-test-echo-initial"
	trailingKey = "x-grpc-test-echo-trailing-bin"
)

func echoMetadata(ctx context.Context, trailing runtime.Metadata) error {
	request := runtime.InvocationMetadata(ctx)
	if values := request.Values(trailingKey); len(values) > 0 {
		trailing = append(trailing, runtime.Pair{Key: trailingKey, Value: values[0]})
	}
	if err := runtime.SetTrailingMetadata(ctx, trailing); err != nil {
		return err
	}
	if values := request.Values(initialKey); len(values) > 0 {
		return runtime.SendInitialMetadata(ctx, runtime.Pairs(initialKey, values[0]))
	}
	return nil
}
