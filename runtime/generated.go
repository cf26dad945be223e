package runtime

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The handshakes between generated code and this package. A generated file refers to the constant that names what it needs, so
// that a runtime that is too old for it is a compile error that names the remedy. A runtime has all constants up to its own:
// what was generated once compiles with every later v1.
const (
	GeneratedCodeVersion1 = true // servicers, registrars, fakes
	GeneratedCodeVersion2 = true // these, with Unimplemented
)

// Unimplemented returns the error with which generated code answers the RPCs of methods that are not implemented:
// UNIMPLEMENTED, with grpc-python's text.
func Unimplemented() error { return status.Error(codes.Unimplemented, "Method not implemented!") }
