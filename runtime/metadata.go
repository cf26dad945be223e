package runtime

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// Pair is one entry of [Metadata].
type Pair struct {
	// Key is in lower case. If it ends in "-bin" the value is arbitrary octets; they travel as base64. Otherwise the
	// value is printable ASCII.
	Key   string
	Value string
}

// Metadata is a list of key-value pairs in their order; a key may occur more than once (gRPC PROTOCOL-HTTP2,
// "Custom-Metadata").
type Metadata []Pair

// Pairs makes metadata of keys and values in turn. Keys are made lower-case. A key without a value is a programmer's mistake,
// at which it panics, as grpc-go's metadata.Pairs does.
func Pairs(keysAndValues ...string) Metadata {
	if len(keysAndValues)%2 == 1 {
		panic(fmt.Sprintf("gogreeter: Pairs got %d strings: the key %q has no value", len(keysAndValues), keysAndValues[len(keysAndValues)-1]))
	}
	md := make(Metadata, 0, len(keysAndValues)/2)
	for i := 0; i < len(keysAndValues); i += 2 {
		md = append(md, Pair{strings.ToLower(keysAndValues[i]), keysAndValues[i+1]})
	}
	return md
}

// Get returns the first value of a key, whatever its case, or "".
func (md Metadata) Get(key string) string {
	key = strings.ToLower(key) // which keeps it where it is, if it is lower-case already
	for _, p := range md {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// Values returns all values of a key, whatever its case, in their order.
func (md Metadata) Values(key string) []string {
	key = strings.ToLower(key)
	var values []string
	for _, p := range md {
		if p.Key == key {
			values = append(values, p.Value)
		}
	}
	return values
}

// MD returns the metadata in the form of package google.golang.org/grpc/metadata.
func (md Metadata) MD() metadata.MD {
	m := make(metadata.MD, len(md))
	for _, p := range md {
		m[p.Key] = append(m[p.Key], p.Value)
	}
	return m
}

// Validate reports what keeps the metadata from being sent.
func (md Metadata) Validate() error {
	for _, p := range md {
		if err := wire.Validate(p.Key, p.Value); err != nil {
			return err
		}
	}
	return nil
}
