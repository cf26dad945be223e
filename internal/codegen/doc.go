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
// The skeleton mode takes the place of render.go, and writes into the user's package itself:
//
//	skeleton.go                             what is done for each service
//	skeleton_source.go, skeleton_build.go   the user's files, and the builds that they are for
//	skeleton_go.go, skeleton_types.go       the packages around them, by the go command and the type checker
//	skeleton_use.go, skeleton_servicer.go   which types are servicers, and what they lack
//	skeleton_complete.go, skeleton_edit.go  what is added to files, and where
//	skeleton_save.go                        whether it compiles, and that nothing is lost
//
// Everything runs on the caller's goroutine but render.go, which spreads files over the processors. Nothing there is
// shared between files: each has its own model. Read generate.go next.
package codegen
