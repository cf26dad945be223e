package main

import (
	"context"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
	"github.com/gogreeter/gogreeter/runtime"
)

// routeGuide is the servicer: it implements routeguide.RouteGuideServicer. Its methods are called by many goroutines at
// once, which is safe as long as none of them changes features.
type routeGuide struct {
	features []*routeguide.Feature
}

// GetFeature is unary-unary: it names the place at a point. A point where there is nothing is a feature without a name.
func (g *routeGuide) GetFeature(ctx context.Context, point *routeguide.Point) (*routeguide.Feature, error) {
	if err := checkPoint(point); err != nil {
		return nil, err
	}
	return g.featureAt(point), nil
}

// ListFeatures is unary-stream: it sends the features in a rectangle as it finds them.
//
// It also shows metadata. The initial metadata arrives before the first feature. The trailing metadata, which may depend on
// how the RPC went, arrives after the last one.
func (g *routeGuide) ListFeatures(ctx context.Context, area *routeguide.Rectangle, features runtime.ResponseStream[routeguide.Feature]) error {
	total := strconv.Itoa(len(g.features))
	if err := runtime.SendInitialMetadata(ctx, runtime.Metadata{{Key: "features-known", Value: total}}); err != nil {
		return err
	}
	found := 0
	for _, feature := range g.features {
		if !contains(area, feature.GetLocation()) {
			continue
		}
		if err := features.Send(feature); err != nil {
			return err
		}
		found++
	}
	return runtime.SetTrailingMetadata(ctx, runtime.Metadata{{Key: "features-found", Value: strconv.Itoa(found)}})
}

// RecordRoute is stream-unary: it takes the points of a route as somebody travels it, and sums it up at the end.
func (g *routeGuide) RecordRoute(ctx context.Context, points runtime.RequestIterator[routeguide.Point]) (*routeguide.RouteSummary, error) {
	start := time.Now()
	summary := new(routeguide.RouteSummary)
	var previous *routeguide.Point
	travelled := 0.0
	for point, err := range points.All() {
		if err != nil {
			return nil, err
		}
		if err := checkPoint(point); err != nil {
			return nil, err
		}
		summary.PointCount++
		if g.featureAt(point).GetName() != "" {
			summary.FeatureCount++
		}
		if previous != nil {
			travelled += distance(previous, point)
		}
		previous = point
	}
	summary.Distance = int32(min(travelled, math.MaxInt32))
	summary.ElapsedTime = int32(time.Since(start).Seconds())
	return summary, nil
}

// RouteChat is stream-stream: for each note that is left at a point, it sends what was left there earlier in this chat.
func (g *routeGuide) RouteChat(ctx context.Context, notes runtime.RequestIterator[routeguide.RouteNote], earlier runtime.ResponseStream[routeguide.RouteNote]) error {
	type place struct{ latitude, longitude int32 }
	left := make(map[place][]*routeguide.RouteNote)
	for note, err := range notes.All() {
		if err != nil {
			return err
		}
		here := place{note.GetLocation().GetLatitude(), note.GetLocation().GetLongitude()}
		for _, old := range left[here] {
			if err := earlier.Send(old); err != nil {
				return err
			}
		}
		left[here] = append(left[here], note)
	}
	return nil
}

func (g *routeGuide) featureAt(point *routeguide.Point) *routeguide.Feature {
	for _, feature := range g.features {
		if proto.Equal(feature.GetLocation(), point) {
			return feature
		}
	}
	return &routeguide.Feature{Location: point}
}
