package wire

import (
	"encoding/base64"
	"fmt"
	"iter"
	"strings"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// entry is one entry of metadata (PROTOCOL-HTTP2, "Custom-Metadata"). The value of a binary key is the octets that travel as
// base64.
type entry struct{ Key, Value string }

// metadataEntry is any type that is declared as entry is: the type that applications see belongs to a public package, and
// slices of it are to be used here without a copy.
type metadataEntry interface{ ~struct{ Key, Value string } }

// IsBinary reports whether the values of a key are arbitrary octets, which travel as base64.
func IsBinary(key string) bool { return strings.HasSuffix(key, "-bin") }

// IsReserved reports whether a key means something to HTTP/2 or gRPC itself, so that an application cannot send it.
func IsReserved(key string) bool {
	switch key {
	case "content-type", "te", "content-length", "connection", "keep-alive", "proxy-connection", "transfer-encoding",
		"upgrade":
		return true
	case "grpc-retry-pushback-ms": // a server's advice to clients that retry (gRPC proposal A6)
		return false
	}
	return strings.HasPrefix(key, "grpc-")
}

// Validate reports what keeps an entry of metadata from being sent. AppendMetadata relies on it: one octet that
// HTTP/2 does not permit makes the whole response malformed (RFC 9113, Section 8.2.1).
func Validate(key, value string) error {
	if key == "" {
		return fmt.Errorf("gogreeter: metadata: empty key (its value is %q)", value)
	}
	for i := 0; i < len(key); i++ {
		// PROTOCOL-HTTP2: Header-Name → 1*( %x30-39 / %x61-7A / "_" / "-" / ".")
		if c := key[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return fmt.Errorf("gogreeter: metadata: key %q: %q is not allowed; keys are lower-case letters, digits, '_', '-' and '.'",
				key, c)
		}
	}
	if IsReserved(key) {
		return fmt.Errorf("gogreeter: metadata: key %q is reserved for the protocol", key)
	}
	if IsBinary(key) {
		return nil
	}
	for i := 0; i < len(value); i++ {
		if c := value[i]; c < 0x20 || c > 0x7e {
			return fmt.Errorf("gogreeter: metadata: value of %q: octet 0x%02x is not printable ASCII; use a key that ends in \"-bin\"",
				key, c)
		}
	}
	return nil
}

// AppendMetadata appends metadata that has been validated to a field block.
func AppendMetadata[E metadataEntry](block []byte, md []E) []byte {
	for key, value := range Lines(md) {
		block = fields.AppendField(block, key, value)
	}
	return block
}

// Lines yields the field lines of metadata that has been validated, by name and value.
func Lines[E metadataEntry](md []E) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, e := range md {
			key, value := entry(e).Key, entry(e).Value
			if IsBinary(key) {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

// MetadataSize returns how large metadata is in a field section, counted as RFC 9113, Section 6.5.2 says.
func MetadataSize[E metadataEntry](md []E) (size int) {
	for _, e := range md {
		size += fieldSize(entry(e).Key, encodedSize(entry(e).Key, len(entry(e).Value)))
	}
	return size
}

// encodedSize returns how many octets a value of n octets has on the wire. Base64 goes without padding, as PROTOCOL-HTTP2 wants
// it ("should emit un-padded values").
func encodedSize(key string, n int) int {
	if IsBinary(key) {
		return base64.RawStdEncoding.EncodedLen(n)
	}
	return n
}

// fieldSize returns how large a field line is whose value has n octets.
func fieldSize(name string, n int) int { return len(name) + n + fields.FieldOverhead }

// ReadMetadata appends to metadata what a field line says. PROTOCOL-HTTP2, of binary values: implementations "MUST accept
// padded and un-padded values", and may join several values by commas, in which case each is one of its own.
func ReadMetadata[E metadataEntry](md []E, key, value string) ([]E, error) {
	if !IsBinary(key) {
		return append(md, E(entry{key, value})), nil
	}
	var decoded []byte // of one value after the other
	var err error
	for part := range strings.SplitSeq(value, ",") {
		if decoded, err = appendDecoded(decoded[:0], part); err != nil {
			return nil, Malformed.errorf("malformed binary metadata %q: %v", excerpt.Of(key), err)
		}
		md = append(md, E(entry{key, string(decoded)}))
	}
	return md, nil
}

// appendDecoded appends to b what one value of a binary field encodes.
func appendDecoded(b []byte, value string) ([]byte, error) {
	return base64.RawStdEncoding.AppendDecode(b, []byte(strings.TrimRight(strings.Trim(value, " "), "=")))
}
