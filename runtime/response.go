package runtime

import (
	"context"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

const noResponse = "the handler returned neither a response nor an error"

// encode encodes the only response of a method, into the worker's buffer if that is large enough. Its error carries the
// status that the RPC should end with.
func (r *rpc) encode(ctx context.Context, w *work.Worker, c *codec, response any) (encoded, error) {
	if response == nil {
		return encoded{}, r.unserializable(noResponse)
	}
	e, err := r.encodeResponse(ctx, w.TakeBuffer(), c, response, w.MayBlock())
	if err != nil {
		r.drop(w, e)
		return encoded{}, err
	}
	return e, nil
}

// encodeResponse encodes a response, in b if it has the room, once there is room for it and, if it is to be compressed, it is
// its connection's turn. Its error carries the status that the RPC should end with; what is returned with it is the caller's
// all the same. wait says whether it may wait for room.
func (r *rpc) encodeResponse(ctx context.Context, b []byte, c *codec, response any, wait bool) (_ encoded, err error) {
	if r.call != nil {
		if err := observe(ctx, r.call.onResponse, response); err != nil {
			return encoded{data: b}, err
		}
	}
	size, err := c.sizeOf(response)
	if err != nil {
		return encoded{data: b}, r.unserializable(err)
	}
	size += wire.PrefixLen
	encoding := r.reply.encoding.next()
	paid, ok := r.reserveResponse(encoding.Memory(size), wait)
	if ok && encoding != wire.Identity {
		if ok = deflating.Take(r, &r.session.deflations); ok {
			defer deflating.Give()
		} else {
			r.session.giveBack(paid)
		}
	}
	if !ok {
		return encoded{data: b}, r.endError()
	}
	returned := false
	defer func() {
		if !returned { // the code of the message has ended the goroutine
			r.session.giveBack(paid)
		}
	}()
	b, err = encodeMessage(b, c, response, size, encoding, r.session.shared.limits.sent)
	returned = true
	return encoded{b, paid}, r.unsendable(err)
}

// unsendable returns the error that the RPC should end with if encodeMessage fails.
func (r *rpc) unsendable(err error) error {
	if tooLarge, ok := err.(*wire.Error); ok {
		return outcomeOf(tooLarge).Err()
	}
	if err != nil {
		return r.unserializable(err)
	}
	return nil
}

// drop gives the worker its buffer back, and what was reserved for the response in it.
func (r *rpc) drop(w *work.Worker, response encoded) {
	w.PutBuffer(response.data)
	r.session.giveBack(response.paid)
}

// complete ends the RPC: with an error, with its only response, which is in a buffer of the worker's, or after the responses
// of a stream. What is reserved for the response after that is the caller's to give back.
func (r *rpc) complete(w *work.Worker, response *encoded, err error) {
	if err != nil {
		r.endWith(outcomeOf(err), w.MayBlock())
		return
	}
	if r.end(last{response: response.data, paid: response.paid}) {
		response.paid = 0
	} else if response.data != nil {
		w.PutBuffer(response.data)
	}
}

// send sends one response of a stream.
func (r *rpc) send(ctx context.Context, c *codec, response any) error {
	if response == nil {
		return r.fail(r.unserializable("Send was called with nil"))
	}
	e, err := r.encodeResponse(ctx, nil, c, response, true)
	handedOver := false
	defer func() {
		if !handedOver {
			buffer.Put(e.data)
			r.session.giveBack(e.paid)
		}
	}()
	if err != nil {
		return r.fail(err)
	}
	if handedOver, err = r.sendEncoded(e); err != nil {
		return err
	}
	if r.stream.Full() && !r.waitRoom() {
		return r.endError()
	}
	return nil
}

// sendEncoded sends a response of a stream. It reports whether that is the transport's now, with what was reserved for it.
func (r *rpc) sendEncoded(e encoded) (handedOver bool, err error) {
	r.mu.Lock()
	if r.state.isOver() {
		defer r.mu.Unlock()
		return false, r.endErrorLocked()
	}
	// The first response after a request may be waited for, and leaves at once if no other is there to share a write with.
	// Those that follow are likely to be followed by more.
	urgent := !r.reply.sending.Swap(true) && r.session.h2.Alone()
	if head := r.headersLocked(); head != nil {
		r.stream.Head(head)
	}
	handedOver, err = r.stream.Data(e.data, e.paid, !urgent)
	r.mu.Unlock()
	if err != nil {
		return handedOver, r.endError()
	}
	if urgent {
		r.session.h2.Flush()
	}
	return handedOver, nil
}

// endWith ends the RPC with a status that may be large: by its text, its details, and the trailing metadata. wait says whether
// it may wait for room.
func (r *rpc) endWith(o outcome, wait bool) {
	r.mu.Lock()
	size := wire.TrailersSize(o, r.reply.trailing)
	r.mu.Unlock()
	if size > freeResponse {
		paid, ok := r.reserveResponse(2*size, wait) // the field block, and what the out-buffer has of it
		if !ok {
			return
		}
		defer r.session.giveBack(paid)
	}
	r.end(last{outcome: o})
}

// sendLastLocked writes what the RPC ends with, and reports whether the response has become the transport's. If the client
// does not permit trailers of that size, it resets the stream instead, and fits is false: with some clients it would cost all
// RPCs of the connection to send them.
func (r *rpc) sendLastLocked(l *last) (handedOver, fits bool) {
	limit := r.stream.MaxFieldSection()
	only := l.response == nil && !r.reply.headersSent
	var block []byte
	if only {
		block = wire.TrailersOnly(l.outcome, r.reply.trailing, limit)
	} else {
		block = wire.Trailers(l.outcome, r.reply.trailing, limit)
	}
	switch { // an error means that the stream is over, which HandleClose tells
	case block == nil:
		r.stream.Reset(http2.ErrCodeInternal)
		return false, false
	case only:
		r.stream.Message(block, nil, nil, 0)
	case l.response == nil:
		r.stream.End(block, l.discard)
	default:
		handedOver, _ = r.stream.Message(r.headersLocked(), l.response, block, l.paid)
	}
	buffer.Put(block)
	return handedOver, true
}

// usualFieldSection is what gRPC's clients permit at least unless they are told otherwise, in octets as RFC 9113, Section
// 6.5.2 counts them.
const usualFieldSection = 8 << 10

// tooLarge logs that trailers were larger than the client permits. Metadata that no client need take is the application's
// mistake; if it is less, the limit is what is odd, and a client could fill the log with it.
func (r *rpc) tooLarge() {
	size, limit := wire.MetadataSize(r.reply.trailing), r.stream.MaxFieldSection() // the RPC is over: nobody sets them any more
	level := slog.LevelDebug
	if size > usualFieldSection {
		level = slog.LevelError
	}
	r.session.shared.logger.Log(context.Background(), level,
		"The trailers are larger than the client permits (SETTINGS_MAX_HEADER_LIST_SIZE); the stream was reset",
		"method", logtext.Cut(r.def.path), "metadata", size, "limit", limit)
}

// fail ends the RPC with the status that an error means, and returns the status as an error. The handler may go on for as
// long as it likes, so it flushes.
func (r *rpc) fail(err error) error {
	o := outcomeOf(err)
	r.endWith(o, true)
	r.session.h2.Flush()
	return o.Err()
}

// unserializable says that a response cannot be sent.
func (r *rpc) unserializable(why any) error {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := why.(*codecPanic); ok {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why), "stack", string(p.stack))
	} else {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why))
	}
	return outcomeUnserializable.Err()
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
	case !r.state.isOver():
		return outcomeCancelled.Err()
	case r.ending.outcome.Code == codes.OK:
		return outcomeEnded.Err()
	}
	return r.ending.outcome.Err()
}

// endedWith implements intercepted.
func (r *rpc) endedWith(err error) (end error, ended bool) {
	if !r.state.isEnding() {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st, _ := status.FromError(r.endErrorLocked())
	if had, ok := status.FromError(err); ok && had.Code() == st.Code() && had.Message() == st.Message() {
		return err, true // it says so already
	}
	if err == nil {
		err = r.ending.cause
	}
	return &carrier.Error{Status: st, Cause: err}, true
}

// headersLocked returns the field block that precedes the first message, or nil if it has been sent.
func (r *rpc) headersLocked() []byte {
	if r.reply.headersSent {
		return nil
	}
	r.reply.headersSent = true
	return wire.ResponseHeaders(r.reply.encoding.current())
}
