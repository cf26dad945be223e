package interop

import (
	"context"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

const (
	getFeature   = "/routeguide.RouteGuide/GetFeature"
	listFeatures = "/routeguide.RouteGuide/ListFeatures"
	recordRoute  = "/routeguide.RouteGuide/RecordRoute"
	routeChat    = "/routeguide.RouteGuide/RouteChat"
)

func TestRouteGuide_AnswersGRPCGo_InAllCardinalities(t *testing.T) {
	features, err := routeguide.Features()
	if err != nil {
		t.Fatal(err)
	}
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "route_guide_server", tr.serverFlags()...)
		channel := tr.dial(t, server.address)
		t.Run("GetFeature", func(t *testing.T) { wantEachFeature(t, channel, features) })
		t.Run("GetFeature refuses", func(t *testing.T) { wantBadRequest(t, channel) })
		t.Run("ListFeatures", func(t *testing.T) { wantWholeEarth(t, channel, features) })
		t.Run("RecordRoute", func(t *testing.T) { wantSummary(t, channel, features) })
		t.Run("RouteChat", func(t *testing.T) { wantEarlierNotes(t, channel) })
	})
}

func wantEachFeature(t *testing.T, channel *grpc.ClientConn, features []*routeguide.Feature) {
	nowhere := &routeguide.Feature{Location: &routeguide.Point{Latitude: 1, Longitude: -1}}
	for _, want := range append(features[:len(features):len(features)], nowhere) {
		have := new(routeguide.Feature)
		if err := channel.Invoke(t.Context(), getFeature, want.GetLocation(), have); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(have, want) {
			t.Errorf("at %v there is %v, want %v", want.GetLocation(), have, want)
		}
	}
}

// wantBadRequest asks for an impossible point: the status says so to people, its details to programs.
func wantBadRequest(t *testing.T, channel *grpc.ClientConn) {
	point := &routeguide.Point{Latitude: 900_000_001, Longitude: -1_800_000_001}
	err := channel.Invoke(t.Context(), getFeature, point, new(routeguide.Feature))
	wantStatus(t, err, codes.InvalidArgument, "no such point on earth")
	details := status.Convert(err).Details()
	if len(details) != 1 {
		t.Fatalf("details are %v, want one", details)
	}
	bad, isBadRequest := details[0].(*errdetails.BadRequest)
	if !isBadRequest {
		t.Fatalf("details are a %T, want a BadRequest", details[0])
	}
	for i, field := range []string{"latitude", "longitude"} {
		if len(bad.GetFieldViolations()) != 2 || bad.GetFieldViolations()[i].GetField() != field {
			t.Errorf("field violations are %v, want latitude's and longitude's", bad.GetFieldViolations())
		}
	}
}

func wantWholeEarth(t *testing.T, channel *grpc.ClientConn, features []*routeguide.Feature) {
	earth := &routeguide.Rectangle{
		Lo: &routeguide.Point{Latitude: -90e7, Longitude: -180e7},
		Hi: &routeguide.Point{Latitude: 90e7, Longitude: 180e7},
	}
	var initial, trailing metadata.MD
	have, err := call[routeguide.Rectangle, routeguide.Feature](t.Context(), channel, listFeatures,
		[]*routeguide.Rectangle{earth}, grpc.Header(&initial), grpc.Trailer(&trailing))
	if err != nil {
		t.Fatal(err)
	}
	wantMessages(t, have, features)
	if known := initial.Get("features-known"); len(known) != 1 || known[0] != "100" {
		t.Errorf("initial metadata features-known is %q, want 100", known)
	}
	if found := trailing.Get("features-found"); len(found) != 1 || found[0] != "100" {
		t.Errorf("trailing metadata features-found is %q, want 100", found)
	}
}

func wantSummary(t *testing.T, channel *grpc.ClientConn, features []*routeguide.Feature) {
	var points []*routeguide.Point
	for _, feature := range features {
		points = append(points, feature.GetLocation())
	}
	points = append(points, &routeguide.Point{}) // where there is nothing
	have, err := call[routeguide.Point, routeguide.RouteSummary](t.Context(), channel, recordRoute, points)
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != 1 || have[0].GetPointCount() != 101 || have[0].GetFeatureCount() != 100 {
		t.Fatalf("the summary is %v, want 101 points and 100 features", have)
	}
	if distance := have[0].GetDistance(); distance < 40_000_000 {
		t.Errorf("the trip to all places took %d m, less than once around the earth", distance)
	}
}

func wantEarlierNotes(t *testing.T, channel *grpc.ClientConn) {
	here, there := &routeguide.Point{Latitude: 1}, &routeguide.Point{Longitude: 1}
	notes := []*routeguide.RouteNote{
		{Location: here, Message: "one"},
		{Location: there, Message: "elsewhere"},
		{Location: here, Message: "two"},
		{Location: here, Message: "three"},
	}
	have, err := call[routeguide.RouteNote, routeguide.RouteNote](context.Background(), channel, routeChat, notes)
	if err != nil {
		t.Fatal(err)
	}
	wantMessages(t, have, []*routeguide.RouteNote{notes[0], notes[0], notes[2]})
}
