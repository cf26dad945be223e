// Package templates holds the text of the files that protoc-gen-gogreeter writes.
//
// A template lays out; what is to be laid out has been decided by the model that it is given, which internal/codegen
// builds and docs/generator.md describes. Start reading with file.go.tmpl.
package templates

import "embed"

// FS holds the templates. The name of a file is the name of the template in it.
//
//go:embed *.go.tmpl
var FS embed.FS
