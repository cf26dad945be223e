// Protoc-gen-gogreeter is the protoc plugin that writes the server side of gRPC services for the gogreeter runtime.
//
// Run protoc-gen-gogreeter --help for its options.
package main

import (
	"os"

	"github.com/gogreeter/gogreeter/internal/codegen"
)

func main() {
	os.Exit(codegen.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
