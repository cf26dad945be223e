package runtime

import (
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
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
		if err := p.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (p Pair) validate() error {
	if p.Key == "" {
		return fmt.Errorf("gogreeter: metadata: empty key (its value is %q)", p.Value)
	}
	for i := 0; i < len(p.Key); i++ {
		// gRPC PROTOCOL-HTTP2: Header-Name → 1*( %x30-39 / %x61-7A / "_" / "-" / ".")
		if c := p.Key[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return fmt.Errorf("gogreeter: metadata: key %q: %q is not allowed; keys are lower-case letters, digits, '_', '-' and '.'",
				p.Key, c)
		}
	}
	if reservedKey(p.Key) {
		return fmt.Errorf("gogreeter: metadata: key %q is reserved for the protocol", p.Key)
	}
	if isBinary(p.Key) {
		return nil
	}
	for i := 0; i < len(p.Value); i++ {
		if c := p.Value[i]; c < 0x20 || c > 0x7e {
			return fmt.Errorf("gogreeter: metadata: value of %q: octet 0x%02x is not printable ASCII; use a key that ends in \"-bin\"",
				p.Key, c)
		}
	}
	return nil
}

func isBinary(key string) bool { return strings.HasSuffix(key, "-bin") }

// reservedKey reports whether a key means something to HTTP/2 or gRPC itself, so that an application cannot send it.
func reservedKey(key string) bool {
	switch key {
	case "content-type", "te", "content-length", "connection", "keep-alive", "proxy-connection", "transfer-encoding",
		"upgrade":
		return true
	case "grpc-retry-pushback-ms": // a server's advice to clients that retry (gRPC proposal A6)
		return false
	}
	return strings.HasPrefix(key, "grpc-")
}

// appendMetadata appends metadata that has been validated to a field block.
func appendMetadata(block []byte, md Metadata) []byte {
	for _, p := range md {
		value := p.Value
		if isBinary(p.Key) {
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		}
		block = fields.AppendField(block, p.Key, value)
	}
	return block
}

// appendBinary appends what a binary field's value encodes. gRPC PROTOCOL-HTTP2: implementations "MUST accept padded
// and un-padded values", and may join several values by commas, in which case each is one of its own.
func appendBinary(md Metadata, key, value string) (Metadata, error) {
	var decoded []byte // of one value after the other
	var err error
	for part := range strings.SplitSeq(value, ",") {
		decoded, err = base64.RawStdEncoding.AppendDecode(decoded[:0], []byte(strings.TrimRight(strings.Trim(part, " "), "=")))
		if err != nil {
			return nil, fmt.Errorf("malformed binary metadata %q: %v", excerpt.Of(key), err)
		}
		md = append(md, Pair{key, string(decoded)})
	}
	return md, nil
}
