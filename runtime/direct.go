package runtime

import (
	"iter"
	"slices"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// direct is a request that a protocol answers by itself. For the rpc it has a stream of messages each way, which are pieces
// of the content. It implements protocol.Codec and protocol.Stream.
type direct struct {
	r *rpc // immutable

	piece, unread []byte // of the content, the one taken last. Owned by the goroutine that reads.

	// Guarded by rpc.mu.
	head []byte
	end  *protocol.End // nil: the protocol has not ended the response
}

// pieces cuts content so that it fits into messages, and these with their prefixes into buffers.
func pieces(content []byte, limit int) iter.Seq[[]byte] {
	const most = 32<<10 - wire.PrefixLen
	if limit <= 0 || limit > most {
		limit = most
	}
	return slices.Chunk(content, limit)
}

// DecodeContent implements protocol.Codec.
func (d *direct) DecodeContent(content []byte, _ bool, feed func(messages ...[]byte)) error {
	for piece := range pieces(content, d.r.session.shared.options.MaxReceiveMessageBytes) {
		feed(wire.AppendPrefix(nil, false, len(piece)), piece)
	}
	return nil
}

// EncodeHead implements protocol.Codec.
func (d *direct) EncodeHead(string, iter.Seq2[string, string]) []byte {
	if d.head != nil {
		return d.head
	}
	return fields.AppendStatus(nil, 200)
}

// EncodeMessage implements protocol.Codec.
func (d *direct) EncodeMessage(message []byte) []byte { return message[wire.PrefixLen:] }

// EncodeEnd implements protocol.Codec. An answer that the protocol has not ended must not pass for a whole one.
func (d *direct) EncodeEnd(wire.Status, []byte, iter.Seq2[string, string]) protocol.End {
	switch {
	case d.end != nil:
		return *d.end
	case !d.r.state.hasBegun(): // there are too many
		return protocol.End{Head: fields.AppendStatus(nil, 503)}
	}
	return protocol.End{Broken: true}
}

// Read implements protocol.Stream.
func (d *direct) Read(b []byte) (n int, err error) {
	if len(b) > 0 && len(d.unread) == 0 {
		buffer.Put(d.piece)
		d.piece = nil
		var next RawMessage
		if err := d.r.receive(d.r, rawCodec, &next); err != nil {
			return 0, err
		}
		d.piece, d.unread = next.Data, next.Data
	}
	n = copy(b, d.unread)
	d.unread = d.unread[n:]
	return n, nil
}

// Head implements protocol.Stream.
func (d *direct) Head(status int, lines ...fields.Field) {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	d.head = appendLines(fields.AppendStatus(nil, status), lines)
}

// appendLines appends field lines to a block.
func appendLines(block []byte, lines []fields.Field) []byte {
	for _, line := range lines {
		block = fields.AppendField(block, line.Name, line.Value)
	}
	return block
}

// Write implements protocol.Stream.
func (d *direct) Write(b []byte) (n int, err error) {
	for piece := range pieces(b, d.r.session.shared.options.MaxSendMessageBytes) {
		if err := d.r.send(d.r, rawCodec, &RawMessage{Data: piece}); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// Flush implements protocol.Stream.
func (d *direct) Flush() {
	_ = d.r.sendInitial(nil) // an error says that the head has been sent, or that the request is over
	d.r.session.h2.Flush()
}

// End implements protocol.Stream.
func (d *direct) End(trailers ...fields.Field) {
	d.r.mu.Lock()
	d.end = &protocol.End{Trailers: appendLines(nil, trailers)}
	d.r.mu.Unlock()
	d.r.end(&finalResult{})
	d.r.session.h2.Flush()
}
