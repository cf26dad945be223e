// Package wire is the gRPC protocol over HTTP/2 as octets, in both directions (gRPC PROTOCOL-HTTP2.md and compression.md,
// whose terms are used below). An RPC is one stream:
//
//	client                                           server
//
//	HEADERS  :method POST, :path /pkg.Service/Method
//	         content-type application/grpc
//	         te trailers
//	         grpc-timeout 1S                         (ParseTimeout, FormatTimeout)
//	         grpc-encoding gzip                      (ParseEncoding)
//	         grpc-accept-encoding identity,gzip      (EncodingSet, AcceptEncoding)
//	         key value, key-bin AAE                  (metadata: AppendMetadata, ReadMetadata)
//	DATA     message, message, …                     (AppendPrefix, SetLength; Cutter)
//
//	                                                 HEADERS  :status 200                 (ResponseHeaders)
//	                                                          content-type application/grpc
//	                                                          grpc-encoding gzip
//	                                                          key value, …
//	                                                 DATA     message, message, …
//	                                                 HEADERS  grpc-status 0               (Trailers, Status.ReadField)
//	                                                          grpc-message, grpc-status-details-bin
//	                                                          key value, …
//
// A response that is nothing but its end has one HEADERS frame (TrailersOnly). A message is a prefix and its octets:
//
//	Compressed-Flag (1 octet: 0 or 1) | Message-Length (4 octets) | Message
//
// The package knows nothing of connections, RPCs or budgets, so that a server and a client can stand on it. It judges what it
// reads by the limits that it is given, and says what is wrong by an [Error]. Which status that means is for the caller to
// say, since the two ends answer differently.
package wire

import "fmt"

// Error is what is wrong with something that was received, or is about to be sent.
type Error struct {
	Kind Kind
	Text string // a sentence for the peer; what it repeats of the peer's is bounded
}

// Kind is what an [Error] is about.
type Kind uint8

// The kinds of errors.
const (
	Malformed   Kind = iota // the protocol does not permit it
	Unsupported             // an encoding that this package does not have
	TooLarge                // a message beyond a limit
	Corrupt                 // a compressed message that is not what its encoding makes; the text begins "not valid"
)

func (e *Error) Error() string { return e.Text }

// errorf returns an error of a kind.
func (k Kind) errorf(format string, args ...any) *Error {
	return &Error{k, fmt.Sprintf(format, args...)}
}
