package main

import (
	"slices"
	"testing"
)

// TestTricks_CanBeLeftOut checks that the source still has what the tricks say, and that they are measured somewhere.
func TestTricks_CanBeLeftOut(t *testing.T) {
	t.Chdir("..") // as make runs the command
	for _, trick := range tricks {
		if _, err := trick.changed(); err != nil {
			t.Errorf("%s: %v", trick.name, err)
		}
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == trick.scenario && s.hasPart(gogreeter) }) {
			t.Errorf("%s: there is no scenario %q", trick.name, trick.scenario)
		}
	}
}
