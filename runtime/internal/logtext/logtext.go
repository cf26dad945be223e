// Package logtext makes the variable parts of log records: texts that clients can choose, and addresses, which may be
// missing. What it returns is for attributes; a record's message is a constant, since not every slog.Handler quotes it.
package logtext

import (
	"fmt"
	"log/slog"
	"net"
	"reflect"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// Limit is how many octets of a text go to the log. A client repeats a header field of 4 KiB at the cost of an octet, and
// must not fill the disk by that.
const Limit = 512

// Cut returns the text, or its beginning and its length if it has more than Limit octets.
func Cut(text string) string {
	if len(text) <= Limit {
		return text
	}
	return fmt.Sprintf("%s… (%d octets)", excerpt.Prefix(text, Limit), len(text))
}

// Of returns an attribute's value for an error, or anything else that may panic when it is printed. It is printed only if
// the record is written.
func Of(value any) slog.Value { return slog.AnyValue(printed{value}) }

type printed struct{ value any }

// LogValue implements slog.LogValuer.
func (p printed) LogValue() slog.Value { return slog.StringValue(Cut(fmt.Sprint(p.value))) }

// Unknown is the text of an address that is missing, or that cannot be printed.
const Unknown = "unknown"

// Address returns the text of an address. The address may be nil, or a nil pointer, and its methods may panic.
func Address(addr net.Addr) (text string) {
	defer func() {
		if recover() != nil {
			text = Unknown
		}
	}()
	if Missing(addr) {
		return Unknown
	}
	return Cut(addr.String())
}

// Missing reports whether an address is nil or a nil pointer.
func Missing(addr net.Addr) bool {
	if addr == nil {
		return true
	}
	v := reflect.ValueOf(addr)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
