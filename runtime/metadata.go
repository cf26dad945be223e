package runtime

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
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

// FromMD returns metadata in the form of package google.golang.org/grpc/metadata as Metadata. The keys are in alphabetical
// order, since an MD has none, and in lower case.
func FromMD(m metadata.MD) Metadata {
	md := make(Metadata, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		for _, value := range m[key] {
			md = append(md, Pair{strings.ToLower(key), value})
		}
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

// Only returns the pairs with the given keys, whatever their case, in their order: what a handler passes on to another server,
// for example.
func (md Metadata) Only(keys ...string) Metadata {
	var only Metadata
	for _, p := range md {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.ToLower(key) == p.Key }) {
			only = append(only, p)
		}
	}
	return only
}

// Clone returns a copy, which may be modified.
func (md Metadata) Clone() Metadata { return slices.Clone(md) }

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

// String implements fmt.Stringer: it returns the metadata as a text for logs, such as `tenant="acme" authorization=***`. The
// values of keys that look as if they held a secret are left out, and long texts are cut. What the metadata holds, all of it, a
// range over it tells.
func (md Metadata) String() string {
	var b strings.Builder
	for i, p := range md {
		if b.Len() > logtext.Limit {
			fmt.Fprintf(&b, " and %d more", len(md)-i)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.WriteString(excerpt.Of(p.Key)); p.secret() {
			b.WriteString("=***")
		} else {
			fmt.Fprintf(&b, "=%q", excerpt.Of(p.Value))
		}
	}
	return b.String()
}

// GoString implements fmt.GoStringer: %#v shows no more than %v does.
func (md Metadata) GoString() string { return "runtime.Metadata{" + md.String() + "}" }

// LogValue implements slog.LogValuer: logs show what String returns.
func (md Metadata) LogValue() slog.Value { return slog.StringValue(md.String()) }

// secret reports whether the value is one that logs must not show. It is better to hide what is none: the keys of secrets are
// anybody's choice, as "x-auth-token", "cookie" and "x-api-key" are.
func (p Pair) secret() bool {
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(p.Key, word) })
}

var secretWords = []string{"auth", "cookie", "credential", "jwt", "key", "pass", "secret", "session", "signature", "token"}

// fieldsOf returns the fields of a request as they came, the pseudo-header fields first.
func fieldsOf(request *fields.Section) Metadata {
	if request == nil {
		return nil
	}
	pseudo := Metadata{
		{":method", request.Method}, {":scheme", request.Scheme}, {":path", request.Path}, {":authority", request.Authority},
	}
	all := make(Metadata, 0, len(pseudo)+len(request.Fields))
	for _, p := range pseudo {
		if p.Value != "" {
			all = append(all, p)
		}
	}
	for _, f := range request.Fields {
		all = append(all, Pair{f.Name, f.Value})
	}
	return all
}
