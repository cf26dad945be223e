// Command route_guide_client calls routeguide.RouteGuide in all four cardinalities and prints what goes back and forth:
// "->" is a request, "<-" a response.
//
//	route_guide_client [-addr 127.0.0.1:50051]
//
// It is an ordinary grpc-go client in a module of its own, and knows nothing of what the server is made of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

var (
	address = flag.String("addr", "127.0.0.1:50051", "`address` of the server")
	caFile  = flag.String("tls-ca", "", "PEM `file` with the certificate that vouches for the server; calls over TLS")
	timeout = flag.Duration("timeout", 10*time.Second, "`time` that all the calls together may take")
)

func main() {
	flag.Parse()
	if err := callAll(); err != nil {
		fmt.Fprintln(os.Stderr, "route_guide_client:", err)
		os.Exit(1)
	}
}

func callAll() error {
	features, err := routeguide.Features()
	if err != nil {
		return err
	}
	transport, err := transportCredentials()
	if err != nil {
		return err
	}
	channel, err := grpc.NewClient(*address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	stub := routeGuideStub{channel}
	for _, call := range []func(context.Context, routeGuideStub, []*routeguide.Feature) error{
		getFeature, getFeatureNowhere, listFeatures, recordRoute, routeChat,
	} {
		if err := call(ctx, stub, features); err != nil {
			return err
		}
	}
	return nil
}

func transportCredentials() (credentials.TransportCredentials, error) {
	if *caFile == "" {
		return insecure.NewCredentials(), nil
	}
	return credentials.NewClientTLSFromFile(*caFile, "")
}

func getFeature(ctx context.Context, stub routeGuideStub, features []*routeguide.Feature) error {
	fmt.Println("GetFeature, unary-unary: what is at this point?")
	for _, point := range []*routeguide.Point{features[0].GetLocation(), {}} {
		fmt.Println("  ->", degrees(point))
		feature, err := stub.GetFeature(ctx, point)
		if err != nil {
			return err
		}
		fmt.Println("  <-", nameOf(feature))
	}
	return nil
}

// getFeatureNowhere asks for an impossible point: the server answers with a status that has details for programs.
func getFeatureNowhere(ctx context.Context, stub routeGuideStub, _ []*routeguide.Feature) error {
	nowhere := &routeguide.Point{Latitude: 91e7, Longitude: -181e7}
	fmt.Println("  ->", degrees(nowhere))
	_, err := stub.GetFeature(ctx, nowhere)
	refused := status.Convert(err)
	if len(refused.Details()) == 0 {
		return fmt.Errorf("GetFeature: want a status with details, have %w", err)
	}
	fmt.Printf("  <- %s: %s\n", refused.Code(), refused.Message())
	for _, detail := range refused.Details() {
		bad, isBadRequest := detail.(*errdetails.BadRequest)
		if !isBadRequest {
			return fmt.Errorf("GetFeature: unexpected details %T", detail)
		}
		for _, violation := range bad.GetFieldViolations() {
			fmt.Printf("       %s: %s\n", violation.GetField(), violation.GetDescription())
		}
	}
	return nil
}

func listFeatures(ctx context.Context, stub routeGuideStub, _ []*routeguide.Feature) error {
	alps := &routeguide.Rectangle{
		Lo: &routeguide.Point{Latitude: 45.5e7, Longitude: 6.0e7},
		Hi: &routeguide.Point{Latitude: 47.5e7, Longitude: 13.0e7},
	}
	fmt.Println("ListFeatures, unary-stream: what is there in this rectangle?")
	fmt.Printf("  -> %s to %s\n", degrees(alps.GetLo()), degrees(alps.GetHi()))
	features, err := stub.ListFeatures(ctx, alps)
	if err != nil {
		return err
	}
	initial, err := features.Header()
	if err != nil {
		return err
	}
	for {
		feature, err := features.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		fmt.Println("  <-", nameOf(feature))
	}
	fmt.Printf("     found %s of %s, say the trailing and the initial metadata\n",
		first(features.Trailer().Get("features-found")), first(initial.Get("features-known")))
	return nil
}

func recordRoute(ctx context.Context, stub routeGuideStub, features []*routeguide.Feature) error {
	fmt.Println("RecordRoute, stream-unary: how long was this trip?")
	points, err := stub.RecordRoute(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(features); i += 25 {
		fmt.Println("  ->", nameOf(features[i]))
		if err := points.Send(features[i].GetLocation()); err != nil {
			return err
		}
	}
	summary, err := points.CloseAndRecv()
	if err != nil {
		return err
	}
	fmt.Printf("  <- %d points, %d of them known, %d km\n",
		summary.GetPointCount(), summary.GetFeatureCount(), summary.GetDistance()/1000)
	return nil
}

func first(values []string) string {
	if len(values) == 0 {
		return "?"
	}
	return values[0]
}

func nameOf(feature *routeguide.Feature) string {
	if feature.GetName() == "" {
		return "nothing at " + degrees(feature.GetLocation())
	}
	return feature.GetName()
}

func degrees(point *routeguide.Point) string {
	return fmt.Sprintf("%.4f°, %.4f°", float64(point.GetLatitude())/1e7, float64(point.GetLongitude())/1e7)
}
