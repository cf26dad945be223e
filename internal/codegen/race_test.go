//go:build race

package codegen

func init() { raceEnabled = true }
