package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

// prefixLen is the length of what precedes each message: the Compressed-Flag and the Message-Length (gRPC
// PROTOCOL-HTTP2, "Length-Prefixed-Message").
const prefixLen = 5

// message is a request as it came: still encoded, and perhaps compressed.
type message struct {
	data       []byte
	large      *largeRequest // nil: it did not have to be asked for
	paid       uint32        // octets that the account has for it
	compressed bool
	packed     bool // data is several small messages with their prefixes, in a queue
}

// messageReader cuts messages out of the content of a stream. "DATA frame boundaries have no relation to
// Length-Prefixed-Message boundaries" (gRPC PROTOCOL-HTTP2). The zero value is ready for the first message.
type messageReader struct {
	prefix  [prefixLen]byte
	have    uint8         // octets of the prefix
	current message       // the message under way, once the prefix is complete
	missing int           // octets of it that have not come
	large   *largeRequest // nil: its rest has not been asked for
}

// smallMessage is the size up to which a request gets memory of just its size. Most are smaller.
const smallMessage = 128

// firstChunk is the most that is allocated for a message of which only some has come. What a peer announces costs no
// memory until it sends it.
const firstChunk = 64 << 10

// feed takes the next octets of content and returns what is left of them behind the first message that they complete.
// done says that there is one, in m.current. window tells how much more the client may send before it is asked for more.
func (m *messageReader) feed(data []byte, limit int, compression Compression, window func() int) (rest []byte, done bool, bad *outcome) {
	if m.have < prefixLen {
		n := copy(m.prefix[m.have:], data)
		m.have += uint8(n)
		data = data[n:]
		if m.have < prefixLen {
			return nil, false, nil
		}
		if bad := m.begin(len(data), limit, compression, window); bad != nil {
			return nil, false, bad
		}
	}
	n := min(m.missing, len(data))
	for len(data) > 0 && cap(m.current.data)-len(m.current.data) < n {
		m.grow(n, window())
	}
	m.current.data = append(m.current.data, data[:n]...)
	m.missing -= n
	if m.missing > 0 {
		return nil, false, nil
	}
	m.have = 0
	return data[n:], true, nil
}

// grow makes more room for the message under way, of which n octets have come: the first chunk, and then sixteen times what
// there is; but no more than is missing, or than the client can send.
func (m *messageReader) grow(n, window int) {
	have := m.current.data
	size := firstChunk
	if cap(have) >= firstChunk {
		size = 16 * cap(have)
	}
	m.current.data = append(buffer.Get(min(max(size, len(have)+n), len(have)+m.missing, len(have)+n+window)), have...)
	buffer.Put(have)
}

// begin starts a message whose prefix is complete, with some octets behind it that have come. The length is judged before
// a single one of them is kept.
func (m *messageReader) begin(some, limit int, compression Compression, window func() int) *outcome {
	announced := binary.BigEndian.Uint32(m.prefix[1:])
	if limit < 0 {
		limit = math.MaxInt32
	}
	switch flag := m.prefix[0]; {
	case flag > 1:
		return &outcome{code: codes.Internal, details: fmt.Sprintf("Compressed-Flag is %d; it is 0 or 1", flag)}
	case flag == 1 && compression == NoCompression:
		return &outcome{code: codes.Internal, details: "Compressed-Flag is set, but grpc-encoding is identity or missing"}
	case int64(announced) > int64(limit):
		return &outcome{code: codes.ResourceExhausted, details: fmt.Sprintf("Received message larger than max (%d vs. %d)", announced, limit)}
	}
	length := int(announced)
	m.current = message{compressed: m.prefix[0] == 1}
	switch {
	case length <= smallMessage:
		m.current.data = make([]byte, 0, length)
	case length <= some:
		m.current.data = buffer.Get(length)
	default:
		m.current.data = buffer.Get(min(length, firstChunk, 4*some, some+window()))
	}
	m.missing = length
	return nil
}

// partial reports whether a message has begun and not ended.
func (m *messageReader) partial() bool { return m.have > 0 }

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
	size += prefixLen
	compression := r.nextCompression()
	paid, ok := r.reserveResponse(compression.mostMemory(size), wait)
	if !ok {
		return b, 0, r.endError()
	}
	returned := false
	defer func() {
		if !returned { // the code of the message has ended the goroutine
			r.conn.giveBack(paid)
		}
	}()
	data, err = r.appendMessage(b, c, response, size, compression)
	returned = true
	return data, paid, err
}

// appendMessage does what is left when there is room for the message, of size octets with its prefix.
func (r *rpc) appendMessage(b []byte, c *codec, response any, size int, compression Compression) (_ []byte, err error) {
	if size > cap(b) {
		b = buffer.Get(size)
	}
	b = append(b, 0, 0, 0, 0, 0)
	if b, err = c.encode(b, response); err != nil {
		return b, r.unserializable(err)
	}
	if compression != NoCompression {
		if !deflating.take(r, &r.conn.deflations) {
			return b, r.endError()
		}
		b = compression.smaller(b)
		deflating.give()
	}
	size = len(b) - prefixLen
	if limit := r.conn.server.options.MaxSendMessageBytes; limit > 0 && size > limit {
		return b, outcome{code: codes.ResourceExhausted, details: fmt.Sprintf("Sent message larger than max (%d vs. %d)", size, limit)}.err()
	}
	binary.BigEndian.PutUint32(b[1:], uint32(size))
	return b, nil
}

// nextCompression returns how the next response is compressed.
func (r *rpc) nextCompression() Compression {
	if r.compression.Load() == 0 || r.plainNext.Swap(false) {
		return NoCompression
	}
	return Compression(r.compression.Or(compressionFixed) &^ compressionFixed)
}

// mostMemory is what it takes to encode a message of size octets: compressed it is there twice for a moment.
func (c Compression) mostMemory(size int) int {
	if c == NoCompression {
		return size
	}
	return 2 * size
}

// smaller returns a message compressed, if that makes it smaller. b is the caller's no more then; what is returned has little
// more memory than it needs.
func (c Compression) smaller(b []byte) []byte {
	out := append(buffer.Get(max(len(b)/4, prefixLen)), 1, 0, 0, 0, 0)
	out, err := c.deflate(out, b[prefixLen:], len(b))
	if err != nil || len(out) >= len(b) {
		buffer.Put(out)
		return b
	}
	buffer.Put(b)
	if buffer.Size(len(out)) < cap(out)/2 {
		fitting := append(buffer.Get(len(out)), out...)
		buffer.Put(out)
		return fitting
	}
	return out
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
	limit := r.conn.server.options.MaxReceiveMessageBytes
	if m := r.handled(); m != nil && m.maxRequest > 0 && (limit < 0 || m.maxRequest < limit) {
		return m.maxRequest
	}
	return limit
}

// decode decodes a request. Its error carries the status that the RPC should end with.
func (r *rpc) decode(ctx context.Context, c *codec, m message, into any) error {
	limit := r.maxRequest()
	if limit >= 0 && len(m.data) > limit {
		buffer.Put(m.data)
		return outcome{code: codes.ResourceExhausted, details: fmt.Sprintf("Received message larger than max (%d vs. %d)", len(m.data), limit)}.err()
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
	case err == errTooLarge:
		return outcome{code: codes.ResourceExhausted, details: fmt.Sprintf("Received message larger than max (over %d inflated vs. %d)", limit, limit)}.err()
	case err != nil:
		return outcome{code: codes.Internal, details: fmt.Sprintf("the request is not valid %v: %v", r.def.compression, err)}.err()
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
		return outcomeUndecodable.err()
	}
	return nil
}

// undecodable logs why a request cannot be decoded. grpc-python does so as an error. But it is the client's, who could fill
// the log with it; only a panic is the message's own.
func (r *rpc) undecodable(err error) {
	logger, path := r.conn.server.logger, logtext.Cut(r.def.path)
	if p, ok := err.(*codecPanic); ok {
		logger.Error("Exception deserializing message!", "method", path, "error", logtext.Of(err), "stack", string(p.stack))
		return
	}
	logger.Debug("Exception deserializing message!", "method", path, "error", logtext.Of(err))
}

var outcomeUndecodable = outcome{code: codes.Internal, details: "Exception deserializing request!"}
