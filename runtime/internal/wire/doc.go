// Package wire is the gRPC protocol over HTTP/2 as octets, in both directions: what messages, deadlines, statuses, metadata
// and compression look like in content and field lines (gRPC PROTOCOL-HTTP2 and compression.md; these names are used below).
//
// It knows nothing of connections, RPCs or budgets, so that a server and a client can stand on it. It judges what it reads by
// the limits that it is given, and says what is wrong by an [Error]; which status that means is for the caller to say, since
// the two ends answer differently.
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
	Corrupt                 // a compressed message that is not what its encoding makes
)

func (e *Error) Error() string { return e.Text }

// errorf returns an error of a kind.
func (k Kind) errorf(format string, args ...any) *Error {
	return &Error{k, fmt.Sprintf(format, args...)}
}
