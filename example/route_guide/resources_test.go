package routeguide_test

import (
	"testing"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

func TestFeatures_AreAHundredPlacesOnEarth(t *testing.T) {
	features, err := routeguide.Features()
	if err != nil {
		t.Fatal(err)
	}
	if len(features) != 100 {
		t.Errorf("there are %d features, want 100", len(features))
	}
	type place struct{ latitude, longitude int32 }
	seen := make(map[place]string)
	for _, feature := range features {
		at := place{feature.GetLocation().GetLatitude(), feature.GetLocation().GetLongitude()}
		if feature.GetName() == "" || at.latitude < -90e7 || at.latitude > 90e7 || at.longitude < -180e7 || at.longitude > 180e7 {
			t.Errorf("%v is no place on earth", feature)
		}
		if other := seen[at]; other != "" {
			t.Errorf("%s and %s are at the same place", feature.GetName(), other)
		}
		seen[at] = feature.GetName()
	}
}
