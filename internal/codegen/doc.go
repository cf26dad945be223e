// Package codegen turns a CodeGeneratorRequest into Go files: it is protoc-gen-gogreeter without the process.
//
// It does not write messages; protoc-gen-go does. It knows nothing of the wire either: what it writes names things,
// and the package runtime does them.
//
// A request passes through these steps, each in files of its own:
//
//	run.go, reduce.go                   what protoc sends, without what has no bearing on services
//	options.go                          what the user asks for
//	model.go, imports.go, comments.go   what the templates see: every name and every comment is decided here
//	clash.go, names.go, executor.go     whether a Go compiler and the runtime would take it
//	render.go and ../../templates       the text
//	response.go, annotate.go            what protoc gets
//	platform.go                         names of files that mean something to the go command
//
// The skeleton mode (skeleton.go, with the user's package in skeleton_source.go and what is added to its files in
// skeleton_edit.go) takes the place of render.go.
//
// Everything runs on the caller's goroutine but render.go, which spreads files over the processors. Nothing there is
// shared between files: each has its own model. Read generate.go next.
package codegen
