// Package codegen turns a CodeGeneratorRequest into Go files: it is protoc-gen-gogreeter without the process.
//
// It does not write messages; protoc-gen-go does. It knows nothing of the wire either: what it writes names things,
// and the package runtime does them.
//
// A run is this walk, from the request on stdin to the files in the response on stdout:
//
//  1. Run (run.go) reads the request, and respond (generate.go) takes it apart. reduce.go leaves out what has no bearing on
//     services, which is most of it.
//  2. The options (options.go) say what the user asks for.
//  3. newFiles makes a model of each .proto file with services (model.go; comments.go for what the documentation says,
//     executor.go for our own option). Every name is decided here, so that templates only lay out.
//  4. validate (validate.go, clash.go, names.go) finds what a Go compiler or the runtime would refuse, and says so in terms
//     of the .proto files (mistakes.go). From here on, what fails is a template or a name of a file.
//  5. render (render.go and ../../templates) makes text of the models, with the imports that it turns out to need.
//     platform.go tells of files whose names mean something to the go command.
//  6. responseFiles (response.go, annotate.go) makes the response of it.
//
// The option skeleton= takes another way after step 4: skeleton.go renders what would be generated, describes the
// services, and has the package skeleton write implementations into the user's package. The response is empty.
//
// The package gofile has what both ways need: which names a file gives to its imports, and what it declares.
//
// Everything runs on the caller's goroutine but render, which spreads files over the processors. Each file has its own
// model; all share the names of packages, which are complete by then.
package codegen
