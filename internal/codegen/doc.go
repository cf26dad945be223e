// Package codegen turns a CodeGeneratorRequest into Go files: it is protoc-gen-gogreeter without the process.
//
// It does not write messages; protoc-gen-go does. It knows nothing of the wire either: what it writes names things,
// and the package runtime does them.
//
// A request passes through four steps, each in files of its own:
//
//	options.go                      what the user asked for
//	model.go, imports.go, comments.go   what the templates see: every name and every comment is decided here
//	clash.go, names.go              whether a Go compiler would take it
//	render.go and ../../templates   the text
//
// The skeleton mode (skeleton.go) shares the first three.
//
// Everything runs on the caller's goroutine but render.go, which spreads files over the processors. Nothing there is
// shared between files: each has its own model. Read generate.go next.
package codegen
