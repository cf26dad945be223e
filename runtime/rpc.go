package runtime

import (
	"context"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

// rpc is one RPC, from the field block of its request to the end of its handler. It is also the handler's context
// (context.go).
//
// Its life has two ends, which may come in either order: it is over once its status has been sent or can no longer be
// sent, and it is released once no handler runs for it any more.
type rpc struct {
	stream http2.Stream

	// Immutable after NewStream.
	conn     *connection
	def      *callDefinition
	deadline time.Time // zero: none

	// Owned by the reader, and then by the worker.
	handler *MethodHandler
	next    *rpc // in the batch, and then in the dispatcher's queue
	request message
	inline  [inlineMessage]byte

	// Owned by the reader.
	in       messageReader
	requests int  // messages that have come
	deaf     bool // what still comes is thrown away

	gzip    atomic.Bool // responses are compressed
	sending atomic.Bool // a response has been sent since the last request was taken

	mu sync.Mutex
	// Guarded by mu.
	isOver      bool
	ending      outcome // how it ended, once isOver
	cause       error   // what the context's Err returns, once isOver
	done        chan struct{}
	after       map[*func()]struct{}
	dispatched  bool // a worker has it, or will
	headersSent bool
	trailing    Metadata
	queue       []message // requests that the handler has not taken
	noMore      bool      // the last request is in queue, or was
	arrived     *sync.Cond
}

var outcomeUnserializable = outcome{code: codes.Internal, details: "Failed to serialize response!"}

// HandleRequest implements http2.StreamHandler.
func (r *rpc) HandleRequest(endStream bool) {
	refusal := r.def.refusal
	if refusal == nil {
		r.handler, refusal = r.def.find(r.conn.server.logger)
	}
	if refusal == nil && !r.conn.server.admit() {
		refusal = limitExceeded
	}
	if refusal != nil {
		r.refuse(refusal)
		return
	}
	r.conn.running.Add(1)
	if r.def.hasTimeout {
		r.conn.watchDeadline(r.deadline)
	}
	if r.handler.requestStreaming {
		r.dispatch()
	}
	if endStream {
		r.endRequests()
	}
}

// refuse answers a request that does not become an RPC.
func (r *rpc) refuse(why *refusal) {
	r.deaf = true
	r.mu.Lock()
	r.isOver, r.dispatched = true, true // dispatched: there is nothing to release
	r.mu.Unlock()
	o := http2.Outgoing{Finish: true}
	if why.httpStatus == 0 {
		o.Headers = appendTrailers(http2.AppendField(http2.AppendStatus(nil, 200), "content-type", "application/grpc"), why.outcome, nil)
		if why.outcome.code == codes.Unimplemented && r.def.encoded {
			o.Headers = http2.AppendField(o.Headers, "grpc-accept-encoding", acceptedEncodings)
		}
	} else {
		o.Headers = http2.AppendField(http2.AppendStatus(nil, why.httpStatus), "content-type", "text/plain; charset=utf-8")
		o.Data = []byte(why.text + "\n")
	}
	r.stream.Write(o)
	r.conn.flush = true
}

// HandleData implements http2.StreamHandler: it cuts the content into messages.
func (r *rpc) HandleData(data []byte, endStream bool) {
	for len(data) > 0 && !r.deaf {
		var done bool
		var bad *outcome
		data, done, bad = r.in.feed(data, r.requestBuffer(), r.conn.server.options.MaxReceiveMessageBytes, r.def.gzipped)
		switch {
		case bad != nil:
			r.failFromReader(*bad)
		case done:
			r.deliver(r.in.current)
		case !endStream && r.in.missing > 0 && r.stream.Expect(r.in.missing):
			r.conn.flush = true
		}
	}
	if endStream && !r.deaf {
		r.endRequests()
	}
}

// requestBuffer is where a small request can be kept. The requests of a stream can wait in a queue, and get memory of
// their own.
func (r *rpc) requestBuffer() []byte {
	if r.handler.requestStreaming || r.requests > 0 {
		return nil
	}
	return r.inline[:0]
}

// deliver takes a message that is complete.
func (r *rpc) deliver(m message) {
	r.requests++
	r.in.current = message{}
	if r.handler.requestStreaming {
		r.mu.Lock()
		r.queue = append(r.queue, m)
		r.signalLocked()
		r.mu.Unlock()
		return
	}
	if r.requests == 1 {
		r.request = m
	}
	if r.stream.Consumed(prefixLen + len(m.data)) {
		r.conn.flush = true
	}
}

// endRequests is called when the client has half-closed.
func (r *rpc) endRequests() {
	switch {
	case r.in.partial():
		r.failFromReader(outcome{code: codes.Internal, details: "the request ended in the middle of a message"})
	case r.handler.requestStreaming:
		r.mu.Lock()
		r.noMore = true
		r.signalLocked()
		r.mu.Unlock()
	case r.requests != 1:
		// As grpc-python, but for its spelling of the path, which shows as a Python literal.
		r.failFromReader(outcome{code: codes.Unimplemented, details: `"` + r.def.path + `" requires exactly one request message.`})
	default:
		r.dispatch()
	}
}

// failFromReader ends the RPC because of something wrong with the request.
func (r *rpc) failFromReader(o outcome) {
	r.deaf = true
	r.finish(o)
	r.conn.flush = true
}

// HandleClose implements http2.StreamHandler.
func (r *rpc) HandleClose(err error) {
	r.deaf = true
	r.mu.Lock()
	r.endLocked(outcomeCancelled, context.Canceled)
}

// dispatch hands the RPC to the workers, at the end of the batch.
func (r *rpc) dispatch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isOver {
		r.dispatched = true
		r.conn.addToBatch(r)
	}
}

// run runs the handler.
func (r *rpc) run(w *worker) {
	if r.over() {
		r.release() // its deadline passed, or the client gave up, before its turn came
		return
	}
	returned := false
	defer func() {
		defer r.release()
		if !returned {
			r.recovered(recover())
		}
	}()
	r.handler.behavior(r, w)
	returned = true
}

// recovered ends the RPC of a handler that did not return. reason is nil if it called runtime.Goexit.
func (r *rpc) recovered(reason any) {
	const what = "Exception calling application: "
	o := outcome{code: codes.Unknown, details: what + unprintableText(reason)}
	defer func() { // even if printing the reason ends this goroutine
		r.conn.server.logger.Error(o.details, "method", r.def.path, "stack", string(debug.Stack()))
		r.finish(o)
	}()
	o.details = what + panicText(reason)
}

// release is called once, when no handler runs any more or will.
func (r *rpc) release() {
	r.conn.running.Add(-1)
	r.conn.server.active.Add(-1)
}

func (r *rpc) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isOver
}

// endLocked makes the RPC over, if it is not, and lets go of mu.
func (r *rpc) endLocked(o outcome, cause error) {
	if r.isOver {
		r.mu.Unlock()
		return
	}
	r.isOver, r.ending, r.cause = true, o, cause
	r.queue = nil
	if r.done != nil {
		close(r.done)
	}
	r.signalLocked()
	after, dispatched := r.after, r.dispatched
	r.after = nil
	r.mu.Unlock()
	for f := range after {
		go (*f)()
	}
	if !dispatched {
		r.release()
	}
}

// signalLocked wakes a handler that waits for a request.
func (r *rpc) signalLocked() {
	if r.arrived != nil {
		r.arrived.Signal()
	}
}

// respond ends the RPC with its only response.
func (r *rpc) respond(w *worker, c *codec, response any) {
	data, bad := r.appendMessage(w.takeBuffer(), c, response)
	if bad != nil {
		w.putBuffer(data)
		r.finish(*bad)
		return
	}
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

// finish ends the RPC with a status and no further message.
func (r *rpc) finish(o outcome) { r.finishWith(o, false, context.Canceled) }

// finishFromOutside ends an RPC whose handler may be anywhere, in the middle of sending a message included.
func (r *rpc) finishFromOutside(o outcome, cause error) { r.finishWith(o, true, cause) }

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
		block := appendTrailers(appendResponseHeaders(nil, false), o, r.trailing)
		r.stream.Write(http2.Outgoing{Headers: block, Finish: true})
	}
	r.endLocked(o, cause)
}

// endResponses ends an RPC that answers with a stream of responses.
func (r *rpc) endResponses(err error) {
	if err != nil {
		r.finish(outcomeOf(err))
		return
	}
	r.finish(outcome{})
}

// failToSerialize ends the RPC for want of a response that can be sent.
func (r *rpc) failToSerialize(why string) error {
	r.conn.server.logger.Error("Exception serializing message!", "method", r.def.path, "error", why)
	r.finish(outcomeUnserializable)
	return outcomeUnserializable.err()
}

// headersLocked returns the field block that precedes the first message, or nil if it has been sent.
func (r *rpc) headersLocked() []byte {
	if r.headersSent {
		return nil
	}
	r.headersSent = true
	if r.gzip.Load() {
		return gzipHeaders
	}
	return plainHeaders
}

func (r *rpc) trailersLocked(o outcome) []byte {
	if o.code == codes.OK && len(r.trailing) == 0 {
		return okTrailers
	}
	return appendTrailers(nil, o, r.trailing)
}

var (
	plainHeaders = appendResponseHeaders(nil, false)
	gzipHeaders  = appendResponseHeaders(nil, true)
)

// appendResponseHeaders appends what every response begins with (gRPC PROTOCOL-HTTP2, "Response-Headers").
func appendResponseHeaders(block []byte, gzip bool) []byte {
	block = http2.AppendField(http2.AppendStatus(block, 200), "content-type", "application/grpc")
	if gzip {
		block = http2.AppendField(block, "grpc-encoding", "gzip")
	}
	return block
}

// send sends one response of a stream.
func (r *rpc) send(c *codec, response any) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	data, bad := r.appendMessage((*buf)[:0], c, response)
	if *buf = data; cap(data) > maxKeptBuffer {
		*buf = nil
	}
	if bad != nil {
		r.finish(*bad)
		return bad.err()
	}
	r.mu.Lock()
	if r.isOver {
		defer r.mu.Unlock()
		return r.endErrorLocked()
	}
	kept, err := r.stream.Write(http2.Outgoing{Headers: r.headersLocked(), Data: data})
	r.mu.Unlock()
	if kept {
		*buf = nil
	}
	if err != nil {
		return r.endError()
	}
	// The first response after a request may be waited for. Those that follow are likely to be followed by more.
	if urgent := !r.sending.Swap(true); !r.stream.WaitRoom(urgent) {
		return r.endError()
	}
	return nil
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

// nextMessage waits for the next request of a stream.
func (r *rpc) nextMessage() (message, error) {
	r.mu.Lock()
	for !r.isOver && len(r.queue) == 0 && !r.noMore {
		if r.arrived == nil {
			r.arrived = sync.NewCond(&r.mu)
		}
		r.arrived.Wait()
	}
	if r.isOver {
		defer r.mu.Unlock()
		return message{}, r.endErrorLocked()
	}
	if len(r.queue) == 0 {
		r.mu.Unlock()
		return message{}, io.EOF
	}
	r.sending.Store(false)
	m := r.queue[0]
	r.queue[0] = message{}
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	r.mu.Unlock()
	if r.stream.Consumed(prefixLen + len(m.data)) {
		r.conn.h2.Flush()
	}
	return m, nil
}
