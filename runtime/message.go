package runtime

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// message is a request as it came: still encoded, and perhaps compressed.
type message struct {
	data       []byte
	large      *largeRequest // nil: it did not have to be asked for
	paid       uint32        // octets that the account has for it
	compressed bool
	packed     bool // data is several small messages with their prefixes, in a queue
}

// incoming is the request under way, as the reader cuts it out of content.
type incoming struct {
	wire.Cutter
	paid  uint32        // octets that the account has for it
	large *largeRequest // nil: its rest has not been asked for
}

// encodeMessage encodes a response with its prefix, in b if it has the room. Its error carries the status that the RPC should
// end with. paid is what has been reserved for it, which the caller gives back; wait says whether it may wait for that.
func (r *rpc) encodeMessage(ctx context.Context, b []byte, c *codec, response any, wait bool) (data []byte, paid int64, err error) {
	if r.call != nil {
		if err := observe(ctx, r.call.onResponse, response); err != nil {
			return b, 0, err
		}
	}
	size, err := c.sizeOf(response)
	if err != nil {
		return b, 0, r.unserializable(err)
	}
	size += wire.PrefixLen
	compression := r.nextCompression()
	paid, ok := r.reserveResponse(compression.Memory(size), wait)
	if !ok {
		return b, 0, r.endError()
	}
	returned := false
	defer func() {
		if !returned { // the code of the message has ended the goroutine
			r.session.giveBack(paid)
		}
	}()
	data, err = r.appendMessage(b, c, response, size, compression)
	returned = true
	return data, paid, err
}

// appendMessage does what is left when there is room for the message, of size octets with its prefix.
func (r *rpc) appendMessage(b []byte, c *codec, response any, size int, compression wire.Encoding) (_ []byte, err error) {
	if size > cap(b) {
		b = buffer.Get(size)
	}
	b = wire.AppendPrefix(b, false, 0)
	if b, err = c.encode(b, response); err != nil {
		return b, r.unserializable(err)
	}
	if compression != wire.Identity {
		if !deflating.Take(r, &r.session.deflations) {
			return b, r.endError()
		}
		b = wire.Compress(b, compression)
		deflating.Give()
	}
	if err := wire.CheckSent(len(b)-wire.PrefixLen, r.session.shared.limits.sent); err != nil {
		return b, outcomeOf(err).Err()
	}
	wire.SetLength(b)
	return b, nil
}

// nextCompression returns how the next response is compressed.
func (r *rpc) nextCompression() wire.Encoding {
	if r.compression.Load() == 0 || r.plainNext.Swap(false) {
		return wire.Identity
	}
	return wire.Encoding(r.compression.Or(compressionFixed) &^ compressionFixed)
}

// decodeRequest decodes the request of a method that has one.
func (r *rpc) decodeRequest(ctx context.Context, c *codec, into any) error {
	m := r.request
	r.request = message{}
	err := r.decode(ctx, c, m, into)
	if !r.requestStreaming { // otherwise onlyMessage has told
		r.took(m)
	}
	return err
}

// handled returns the method whose handler runs, or is about to; nil if there is none. An interceptor may have set another
// than the client's.
func (r *rpc) handled() *method {
	if r.call != nil {
		return r.call.method
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.method
}

// maxRequest is the most octets that the handler takes for a request; negative is no limit. The reader does not ask for it:
// what a method permits must not show before its interceptors have permitted the RPC.
func (r *rpc) maxRequest() int {
	limit := r.session.shared.limits.received
	if m := r.handled(); m != nil && m.maxRequest > 0 && (limit < 0 || m.maxRequest < limit) {
		return m.maxRequest
	}
	return limit
}

// decodeNext decodes a request of a stream, and ends the RPC if it cannot.
func (r *rpc) decodeNext(ctx context.Context, c *codec, m message, into any) error {
	if err := r.decode(ctx, c, m, into); err != nil {
		return r.fail(err)
	}
	return nil
}

// decode decodes a request. Its error carries the status that the RPC should end with.
func (r *rpc) decode(ctx context.Context, c *codec, m message, into any) error {
	limit := r.maxRequest()
	if err := wire.CheckReceived(int64(len(m.data)), limit); err != nil {
		buffer.Put(m.data)
		return outcomeOf(err).Err()
	}
	var err error
	if m.compressed {
		err = r.decodeCompressed(c, m.data, limit, into)
	} else {
		err = r.decodeOctets(c, m.data, into)
	}
	if err == nil && r.call != nil {
		return observe(ctx, r.call.onRequest, into)
	}
	return err
}

// decodeCompressed decodes a compressed request.
func (r *rpc) decodeCompressed(c *codec, compressed []byte, limit int, into any) error {
	data, done, err := r.inflate(compressed, limit)
	buffer.Put(compressed)
	if done != nil {
		defer done()
	}
	switch {
	case err == errOver:
		return r.endError()
	case err != nil:
		return outcomeOf(err).Err()
	}
	return r.decodeOctets(c, data, into)
}

// decodeOctets decodes a request that is not compressed any more.
func (r *rpc) decodeOctets(c *codec, data []byte, into any) error {
	kept, err := c.decodeInto(data, into)
	if !kept {
		buffer.Put(data)
	}
	if err != nil {
		r.undecodable(err)
		return outcomeUndecodable.Err()
	}
	return nil
}

// undecodable logs why a request cannot be decoded. grpc-python does so as an error. But it is the client's, who could fill
// the log with it; only a panic is the message's own.
func (r *rpc) undecodable(err error) {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := err.(*codecPanic); ok {
		logger.Error("Exception deserializing message!", "method", path, "error", logtext.Of(err), "stack", string(p.stack))
		return
	}
	logger.Debug("Exception deserializing message!", "method", path, "error", logtext.Of(err))
}

var outcomeUndecodable = outcome{Code: codes.Internal, Message: "Exception deserializing request!"}
