package main

import (
	"fmt"
	"math"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

const (
	e7          = 1e7       // a Point's unit is 10⁻⁷ degrees
	earthRadius = 6371000.0 // metres
)

// checkPoint returns an INVALID_ARGUMENT whose details name each field that is wrong, for programs to read.
func checkPoint(point *routeguide.Point) error {
	var violations []*errdetails.BadRequest_FieldViolation
	check := func(field string, value int32, limit int32) {
		if value >= -limit*e7 && value <= limit*e7 {
			return
		}
		violations = append(violations, &errdetails.BadRequest_FieldViolation{
			Field:       field,
			Description: fmt.Sprintf("%d is not between -%d and %d degrees, in units of 1e-7 degrees", value, limit, limit),
		})
	}
	check("latitude", point.GetLatitude(), 90)
	check("longitude", point.GetLongitude(), 180)
	if len(violations) == 0 {
		return nil
	}
	invalid := status.New(codes.InvalidArgument, "no such point on earth")
	detailed, err := invalid.WithDetails(&errdetails.BadRequest{FieldViolations: violations})
	if err != nil {
		return err
	}
	return detailed.Err()
}

// contains reports whether point lies in area, whichever two opposite corners of it are given.
func contains(area *routeguide.Rectangle, point *routeguide.Point) bool {
	lo, hi := area.GetLo(), area.GetHi()
	return between(lo.GetLatitude(), point.GetLatitude(), hi.GetLatitude()) &&
		between(lo.GetLongitude(), point.GetLongitude(), hi.GetLongitude())
}

func between(a, x, b int32) bool {
	return min(a, b) <= x && x <= max(a, b)
}

// distance returns the metres between two points along the earth's surface, by the haversine formula.
func distance(from, to *routeguide.Point) float64 {
	lat1, lat2 := radians(from.GetLatitude()), radians(to.GetLatitude())
	dLat := lat2 - lat1
	dLon := radians(to.GetLongitude()) - radians(from.GetLongitude())
	a := math.Pow(math.Sin(dLat/2), 2) + math.Cos(lat1)*math.Cos(lat2)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(a)))
}

func radians(coordinate int32) float64 {
	return float64(coordinate) / e7 * math.Pi / 180
}
