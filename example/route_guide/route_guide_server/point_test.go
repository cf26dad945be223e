package main

import (
	"math"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

func TestCheckPoint_NamesEachFieldThatIsWrong(t *testing.T) {
	cases := []struct {
		name                string
		latitude, longitude int32
		wrong               []string
	}{
		{"zero", 0, 0, nil},
		{"corner", 90e7, 180e7, nil},
		{"opposite corner", -90e7, -180e7, nil},
		{"too far north", 90e7 + 1, 0, []string{"latitude"}},
		{"too far south", -90e7 - 1, 0, []string{"latitude"}},
		{"too far east", 0, 180e7 + 1, []string{"longitude"}},
		{"nowhere", math.MaxInt32, math.MinInt32, []string{"latitude", "longitude"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := checkPoint(&routeguide.Point{Latitude: c.latitude, Longitude: c.longitude})
			if c.wrong == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused := status.Convert(err)
			if refused.Code() != codes.InvalidArgument || len(refused.Details()) != 1 {
				t.Fatalf("checkPoint returned %v, want INVALID_ARGUMENT with details", err)
			}
			violations := refused.Details()[0].(*errdetails.BadRequest).GetFieldViolations()
			if len(violations) != len(c.wrong) {
				t.Fatalf("the details are %v, want %q", violations, c.wrong)
			}
			for i, field := range c.wrong {
				if violations[i].GetField() != field {
					t.Errorf("violation %d is of %s, want %s", i, violations[i].GetField(), field)
				}
			}
		})
	}
}

func TestDistance(t *testing.T) {
	pole := &routeguide.Point{Latitude: 90e7}
	equator := &routeguide.Point{}
	opposite := &routeguide.Point{Longitude: 180e7}
	quarter := math.Pi / 2 * earthRadius
	cases := []struct {
		name     string
		from, to *routeguide.Point
		want     float64
	}{
		{"nowhere", equator, equator, 0},
		{"pole to equator", pole, equator, quarter},
		{"equator to pole", equator, pole, quarter},
		{"half around", equator, opposite, 2 * quarter},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if have := distance(c.from, c.to); math.Abs(have-c.want) > 1 {
				t.Errorf("the distance is %f m, want %f m", have, c.want)
			}
		})
	}
}

func TestContains_TakesCornersInAnyOrder(t *testing.T) {
	south, north := &routeguide.Point{Latitude: -10, Longitude: -10}, &routeguide.Point{Latitude: 10, Longitude: 10}
	areas := []*routeguide.Rectangle{{Lo: south, Hi: north}, {Lo: north, Hi: south}}
	for _, area := range areas {
		if !contains(area, &routeguide.Point{}) || !contains(area, north) {
			t.Errorf("%v lacks its middle or its corner", area)
		}
		if contains(area, &routeguide.Point{Latitude: 11}) || contains(area, &routeguide.Point{Longitude: -11}) {
			t.Errorf("%v contains what is beside it", area)
		}
	}
}
