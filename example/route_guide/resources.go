package routeguide

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// As route_guide_resources.py in grpc-python's example: the places that server and client both know.
//
//go:embed route_guide_db.json
var database []byte

// Features returns the places of route_guide_db.json, in the order of the file. Each call makes its own copies.
func Features() ([]*Feature, error) {
	var places []struct {
		Name     string
		Location struct{ Latitude, Longitude int32 }
	}
	if err := json.Unmarshal(database, &places); err != nil {
		return nil, fmt.Errorf("route_guide_db.json: %w", err)
	}
	features := make([]*Feature, 0, len(places))
	for _, place := range places {
		location := &Point{Latitude: place.Location.Latitude, Longitude: place.Location.Longitude}
		features = append(features, &Feature{Name: place.Name, Location: location})
	}
	return features, nil
}
