package runtime

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

var outcomeUnserializable = outcome{code: codes.Internal, details: "Failed to serialize response!"}

const noResponse = "the handler returned neither a response nor an error"

// encode encodes the only response of a method, into the worker's buffer if that is large enough. Its error carries the
// status that the RPC should end with.
func (r *rpc) encode(ctx context.Context, w *worker, c *codec, response any) ([]byte, error) {
	if response == nil {
		return nil, r.unserializable(noResponse)
	}
	data, err := r.appendMessage(ctx, w.takeBuffer(), w, c, response)
	if err != nil {
		w.putBuffer(data)
		return nil, err
	}
	return data, nil
}

// complete ends the RPC: with an error, with its only response, or after the responses of a stream.
func (r *rpc) complete(w *worker, response []byte, err error) {
	switch {
	case err != nil:
		r.finish(outcomeOf(err))
	case response != nil:
		r.respond(w, response)
	default:
		r.finish(outcome{})
	}
}

// respond ends the RPC with its only response, which is in a buffer of the worker's.
func (r *rpc) respond(w *worker, data []byte) {
	r.mu.Lock()
	if r.isOver {
		r.mu.Unlock()
		w.putBuffer(data)
		return
	}
	o := http2.Outgoing{Headers: r.headersLocked(), Data: data, Trailers: r.trailersLocked(outcome{})}
	kept, _ := r.stream.Write(o) // an error means that the stream is over, which HandleClose tells
	r.endLocked(outcome{}, context.Canceled)
	if !kept {
		w.putBuffer(data)
	}
}

// send sends one response of a stream.
func (r *rpc) send(ctx context.Context, c *codec, response any) error {
	data, err := r.appendMessage(ctx, nil, nil, c, response)
	if err != nil {
		buffer.Put(data)
		return r.fail(err)
	}
	r.mu.Lock()
	if r.isOver {
		defer r.mu.Unlock()
		buffer.Put(data)
		return r.endErrorLocked()
	}
	// The first response after a request may be waited for, and leaves at once if there is nobody to share a write with.
	// Those that follow are likely to be followed by more.
	urgent := !r.sending.Swap(true) && r.conn.h2.Lonely()
	kept, err := r.stream.Write(http2.Outgoing{Headers: r.headersLocked(), Data: data, Soon: !urgent})
	r.mu.Unlock()
	if !kept {
		buffer.Put(data)
	}
	if err != nil {
		return r.endError()
	}
	if urgent {
		r.conn.h2.Flush()
	}
	if r.stream.Full() && !r.stream.WaitRoom() {
		return r.endError()
	}
	return nil
}

// finish ends the RPC with a status and no further message.
func (r *rpc) finish(o outcome) { r.finishWith(o, false, context.Canceled) }

// finishFromOutside ends an RPC whose handler may be anywhere, in the middle of sending a message included.
func (r *rpc) finishFromOutside(o outcome, cause error) {
	if r.begun.Load() {
		r.finishWith(o, true, cause)
	}
}

func (r *rpc) finishWith(o outcome, discard bool, cause error) {
	r.mu.Lock()
	if r.isOver {
		r.mu.Unlock()
		return
	}
	if r.headersSent {
		r.stream.Write(http2.Outgoing{Trailers: r.trailersLocked(o), Discard: discard})
	} else {
		// gRPC PROTOCOL-HTTP2, "Trailers-Only": one HEADERS frame.
		block := appendTrailers(appendResponseHeaders(nil, NoCompression), o, r.trailing)
		r.stream.Write(http2.Outgoing{Headers: block, Finish: true})
	}
	r.endLocked(o, cause)
}

// fail ends the RPC with the status that an error means, and returns the status as an error. The handler may go on for as
// long as it likes, so nobody else is sure to flush soon.
func (r *rpc) fail(err error) error {
	o := outcomeOf(err)
	r.finish(o)
	r.conn.h2.Flush()
	return o.err()
}

// unserializable says that a response cannot be sent.
func (r *rpc) unserializable(why any) error {
	r.conn.server.logger.Error("Exception serializing message!", "method", r.def.path, "error", why)
	return outcomeUnserializable.err()
}

func (r *rpc) endError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endErrorLocked()
}

// endErrorLocked is what the RPC's streams answer once it is over. An RPC that is not over although its stream is has
// lost its client, and will be told so.
func (r *rpc) endErrorLocked() error {
	switch {
	case !r.isOver:
		return outcomeCancelled.err()
	case r.ending.code == codes.OK:
		return outcome{code: codes.Internal, details: "the RPC has ended"}.err()
	}
	return r.ending.err()
}

// compressionFixed is set with rpc.compression once a response has been compressed, which grpc-encoding has to agree with.
const compressionFixed = 1 << 8

func (r *rpc) responseCompression() Compression {
	return Compression(r.compression.Load() &^ compressionFixed)
}

// headersLocked returns the field block that precedes the first message, or nil if it has been sent.
func (r *rpc) headersLocked() []byte {
	if r.headersSent {
		return nil
	}
	r.headersSent = true
	return responseHeaders[r.responseCompression()]
}

func (r *rpc) trailersLocked(o outcome) []byte {
	if o.code == codes.OK && len(r.trailing) == 0 {
		return okTrailers
	}
	return appendTrailers(nil, o, r.trailing)
}

// responseHeaders are the field blocks of responses without initial metadata. Indexed by Compression.
var responseHeaders = [...][]byte{
	NoCompression: appendResponseHeaders(nil, NoCompression),
	Gzip:          appendResponseHeaders(nil, Gzip),
	Deflate:       appendResponseHeaders(nil, Deflate),
}

// appendResponseHeaders appends what every response begins with (gRPC PROTOCOL-HTTP2, "Response-Headers").
func appendResponseHeaders(block []byte, compression Compression) []byte {
	block = http2.AppendField(http2.AppendStatus(block, 200), "content-type", "application/grpc")
	if compression != NoCompression {
		block = http2.AppendField(block, "grpc-encoding", compression.String())
	}
	return block
}
