package runtime

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// callDefinition is what the field block of a request says (gRPC PROTOCOL-HTTP2, "Call-Definition"), together with the
// method handler found for it. It is immutable, and shared by the RPCs whose field blocks are the same: most clients repeat
// theirs, and a repeated one is neither decoded nor read again.
type callDefinition struct {
	table        *dictionary // the dictionary that the method was looked up in
	path         string
	authority    string
	metadata     Metadata
	method       *method       // nil: ask the generic handlers
	timeout      time.Duration // 0 if hasTimeout is false
	hasTimeout   bool
	compression  wire.Encoding // of requests with the Compressed-Flag set
	badEncoding  bool          // grpc-encoding names something that we do not know
	accepts      wire.EncodingSet
	refusal      *refusal
	metadataSize int64        // octets of memory
	users        atomic.Int64 // RPCs that count it in their connection's account, if it is large

	// request is what it was made of; nil: nothing on the server can ask for it.
	request *fields.Section

	// Of another protocol. Such a callDefinition belongs to one request.
	codec  protocol.Codec                               // translates the RPC; nil: it is gRPC's
	direct func(ctx context.Context, s protocol.Stream) // answers the request, which is none for a method; nil: it is for one
}

// defineCall reads a request's field block and looks its method up.
func defineCall(request *fields.Section, table *dictionary) *callDefinition {
	d := &callDefinition{table: table, path: request.Path, authority: request.Authority}
	call := request
	if route := table.route(request); route != nil {
		call, d.codec, d.direct = route.RPC, route.Codec, route.Serve
	}
	if table.keepsFields || call != request { // another protocol may have it too
		d.request = request
	}
	if d.direct != nil {
		d.method = d.directMethod()
	} else if d.path, d.refusal = call.Path, d.readFields(call); d.refusal == nil {
		d.method = table.methods[d.path]
	}
	d.metadataSize = d.computeMetadataSize()
	return d
}

// directMethod returns a stand-in for the method, for a request that asks for none.
func (d *callDefinition) directMethod() *method {
	behavior := func(ctx context.Context, _ exchange, _ any) (any, error) {
		d.direct(ctx, d.codec.(protocol.Stream))
		return nil, nil
	}
	handler := &MethodHandler{cardinality: CardinalityStreamStream, behavior: behavior}
	return &method{MethodHandler: handler, unbounded: true, counters: &uncounted}
}

// uncounted is where requests for no method are counted.
var uncounted counters

// details is what is known of a call before its handler is looked up.
func (d *callDefinition) details() HandlerCallDetails {
	return HandlerCallDetails{Method: d.path, InvocationMetadata: d.metadata, request: d.request}
}

// computeMetadataSize returns the size of a call's metadata, and of the fields it was made of if these are kept.
func (d *callDefinition) computeMetadataSize() (octets int64) {
	const entry = 32 // two strings, without their octets
	octets = int64(len(d.path) + len(d.authority) + entry*cap(d.metadata))
	for _, p := range d.metadata {
		if d.request == nil || wire.IsBinary(p.Key) { // otherwise it shares the field's octets
			octets += int64(len(p.Key) + len(p.Value))
		}
	}
	if d.request != nil {
		octets += int64(entry * cap(d.request.Fields))
		for _, f := range d.request.Fields {
			octets += int64(len(f.Name) + len(f.Value))
		}
	}
	return octets
}

// readFields reads the fields of the head. What gRPC does not reserve is metadata, in the order in which it came. An invalid
// head is refused before the method is looked up: the answer must not reveal which methods exist.
func (d *callDefinition) readFields(request *fields.Section) *refusal {
	if request.Oversize {
		return metadataTooLarge
	}
	if request.Method != "POST" {
		refused := refuseHTTP(405, "gRPC requests are POST, not "+excerpt.Of(request.Method))
		refused.noContent = request.Method == "HEAD" // RFC 9110, Section 9.3.2
		return refused
	}
	more, ok := joined(request)
	if !ok {
		return metadataTooLarge
	}
	d.metadata = make(Metadata, 0, len(request.Fields)+more)
	contentType := ""
	var err error
	for _, f := range request.Fields {
		switch f.Name {
		case "content-type":
			contentType = f.Value
		case "te", "content-length", "grpc-trace-bin", "grpc-tags-bin":
		case "grpc-timeout":
			d.timeout, err = wire.ParseTimeout(f.Value)
			d.hasTimeout = true
		case "grpc-encoding":
			d.compression, err = wire.ParseEncoding(f.Value)
			d.badEncoding = err != nil
		case "grpc-accept-encoding":
			d.accepts.Read(f.Value)
		default:
			d.metadata, err = wire.ReadMetadata(d.metadata, f.Name, f.Value)
		}
		if err != nil {
			return &refusal{outcome: outcomeOf(err)}
		}
	}
	if !wire.IsGRPC(contentType) {
		return refuseHTTP(415, fmt.Sprintf("content-type %q is not application/grpc", excerpt.Of(contentType)))
	}
	d.metadata = slices.Clip(d.metadata) // an application that appends to it must not change it for other RPCs
	return nil
}

// joined counts the additional entries in binary fields: each comma makes one. It reports false if these, as fields of
// their own, would exceed the limits; a few octets of HPACK can stand for thousands.
func joined(request *fields.Section) (more int, ok bool) {
	octets := int64(0)
	for _, f := range request.Fields {
		if !wire.IsBinary(f.Name) {
			continue
		}
		commas := strings.Count(f.Value, ",")
		more += commas
		octets += int64(commas) * int64(len(f.Name)+fields.FieldOverhead-len(","))
		if !request.Fits(more, octets) {
			return 0, false
		}
	}
	return more, true
}

// askGeneric calls found once: with the method of the first generic handler that has one for the call, or with the reason why
// there is none. If a generic handler ends this goroutine, found is called all the same; then another reader goes on, and not
// the caller.
func (s *serverState) askGeneric(d *callDefinition, found func(*method, *refusal)) {
	details := d.details()
	var h *MethodHandler
	returned := safely(func() {
		for _, generic := range d.table.generic {
			if h = generic.Service(details); h != nil {
				break
			}
		}
	}, func(reason any) { // as _handle_call in grpc-python: a generic handler that raises concerns its own RPC only
		found(nil, lookupFailed)
		s.logger.Error("Exception servicing handler", "method", logtext.Cut(d.path), "panic", logtext.Cut(panicText(reason)),
			"stack", string(debug.Stack()))
	})
	if !returned {
		return
	}
	if h == nil {
		found(nil, methodNotFound)
	} else if m, err := s.newOtherMethod(d.path, h); err != nil {
		found(nil, lookupFailed)
		s.logger.Error("Exception servicing handler", "method", logtext.Cut(d.path), "error", err)
	} else {
		found(m, nil)
	}
}
