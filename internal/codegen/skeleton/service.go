package skeleton

import (
	"slices"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// Service describes a service that is to be implemented. All names but the full one are Go's.
type Service struct {
	FullName         string
	Name             string // of a new implementation, if the package does not use it
	Package          string // import path of the generated code
	PackageName      string
	Messages         string // import path of the messages of the same .proto file
	Servicer         string // the interface to implement
	Unimplemented    string // the base to embed
	MustEmbed        string // the method that only the base has
	RequireEmbedding bool
	Methods          []*Method
}

// has says whether an RPC of the service has a name.
func (s *Service) has(method string) bool {
	return slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Name == method })
}

// Method describes an RPC.
type Method struct {
	Service  *Service
	Name     string
	FullName string
	Messages [2]string // names of the types of the request and the response
}

// Implementation is the type that code is written for.
type Implementation struct {
	PackageName  string // of the user's package
	Type         string // that implements the servicer
	Receiver     string // of its methods
	ReceiverType string // the type as it is in receivers: with a star, or with type parameters
}

// Text writes the code. What it refers to in other packages, it adds to the imports of the file.
type Text interface {
	// File returns a file with a new implementation.
	File(s *Service, of Implementation, imports *gofile.Imports) ([]byte, error)

	// Method returns a method to be filled in.
	Method(m *Method, of Implementation, imports *gofile.Imports) (string, error)

	// Signature returns the parameters and results of a method, for the user to read.
	Signature(m *Method, imports *gofile.Imports) string
}
