package main

import (
	"context"

	"google.golang.org/grpc"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

// routeGuideStub calls routeguide.RouteGuide over a grpc-go channel.
//
// TODO(stubs): use the generated RouteGuideStub once the generator writes one.
type routeGuideStub struct {
	channel grpc.ClientConnInterface
}

func (s routeGuideStub) GetFeature(ctx context.Context, point *routeguide.Point) (*routeguide.Feature, error) {
	feature := new(routeguide.Feature)
	return feature, s.channel.Invoke(ctx, "/routeguide.RouteGuide/GetFeature", point, feature)
}

func (s routeGuideStub) ListFeatures(ctx context.Context, area *routeguide.Rectangle) (grpc.ServerStreamingClient[routeguide.Feature], error) {
	stream, err := s.channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/routeguide.RouteGuide/ListFeatures")
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(area); err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[routeguide.Rectangle, routeguide.Feature]{ClientStream: stream}, stream.CloseSend()
}

func (s routeGuideStub) RecordRoute(ctx context.Context) (grpc.ClientStreamingClient[routeguide.Point, routeguide.RouteSummary], error) {
	stream, err := s.channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/routeguide.RouteGuide/RecordRoute")
	if err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[routeguide.Point, routeguide.RouteSummary]{ClientStream: stream}, nil
}

func (s routeGuideStub) RouteChat(ctx context.Context) (grpc.BidiStreamingClient[routeguide.RouteNote, routeguide.RouteNote], error) {
	shape := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := s.channel.NewStream(ctx, shape, "/routeguide.RouteGuide/RouteChat")
	if err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[routeguide.RouteNote, routeguide.RouteNote]{ClientStream: stream}, nil
}
