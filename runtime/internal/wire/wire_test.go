package wire

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// noError is the kind of no error.
const noError Kind = 255

// kindOf returns the kind of an error of this package's.
func kindOf(t *testing.T, err error) Kind {
	t.Helper()
	if err == nil {
		return noError
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v is not an Error", err)
	}
	return e.Kind
}

// lpm returns a Length-Prefixed-Message.
func lpm(flag byte, message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

// decodeBlock decodes a field block as another implementation reads it, and checks what gRPC permits in values.
func decodeBlock(t *testing.T, block []byte) []hpack.HeaderField {
	t.Helper()
	lines, err := hpack.NewDecoder(0, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if i := strings.IndexFunc(line.Value, func(c rune) bool { return c < 0x20 || c > 0x7e }); i >= 0 {
			t.Fatalf("field %v has the octet 0x%02x", line, line.Value[i])
		}
	}
	return lines
}

// sizeOf returns how large a field section is (RFC 9113, Section 6.5.2).
func sizeOf(lines []hpack.HeaderField) (size int) {
	for _, line := range lines {
		size += int(line.Size())
	}
	return size
}
