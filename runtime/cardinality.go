package runtime

import "fmt"

// Cardinality is how many messages a method takes and gives: one, or a stream of them.
type Cardinality uint8

// The four cardinalities are named as the constructors of their handlers: the requests first.
const (
	CardinalityUnaryUnary Cardinality = iota
	CardinalityUnaryStream
	CardinalityStreamUnary
	CardinalityStreamStream
	numCardinalities = iota
)

// RequestStreaming reports whether the client sends a stream of requests.
func (c Cardinality) RequestStreaming() bool { return c&CardinalityStreamUnary != 0 }

// ResponseStreaming reports whether the server answers with a stream of responses.
func (c Cardinality) ResponseStreaming() bool { return c&CardinalityUnaryStream != 0 }

// String returns the name of the constructor of such handlers, "UnaryStream" for example.
func (c Cardinality) String() string {
	if c >= numCardinalities {
		return fmt.Sprintf("Cardinality(%d)", uint8(c))
	}
	return [...]string{"UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"}[c]
}
