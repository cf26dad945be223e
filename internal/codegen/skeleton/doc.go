// Package skeleton writes implementations of services into a Go package of the user's, and adds what they come to lack.
//
// It knows services by a description (Service), and has their code written by another (Text): it knows nothing of
// .proto files and templates. What it knows is the user's package, and there it is careful: text is only ever added; what
// would not compile is not written, nor is anything if a file is not what was read; and what the user has to change is
// reported, not done.
//
// A run is three steps, each in a file of its name:
//
//   - Read (package.go) asks the go command what the package in a directory is, finds its build configurations, and
//     checks the types of each, together with what the plugin generates in the same run.
//   - Package.Implement (implement.go) finds the types in each build that are servicers (find.go, servicer.go), says what
//     they lack (provides.go) and adds it (complete.go, receiver.go), or writes a new one (create.go). Methods of RPCs that
//     are gone are reported (gone.go). The result is a Plan, and nothing is on disk yet.
//   - Plan.Save (save.go) checks the package as it would be (verify.go), and writes all of it or nothing.
//
// Below are the packages source (the user's files, their builds, edits), typecheck (types, from source) and golist (the
// go command). Everything runs on the caller's goroutine.
package skeleton
