package http2

import "github.com/gogreeter/gogreeter/runtime/internal/buffer"

// backlog is a stream's data that waits for flow-control window, or for room in the out-buffer. Its memory comes from
// package buffer, or is left to the garbage collector.
type backlog struct {
	chunks []chunk
	size   int   // octets in all
	cost   int64 // octets of the memory behind them
}

// chunk is a piece of content.
type chunk struct {
	memory []byte // as package buffer has made it
	rest   []byte // what of it has not been sent
}

// Sizes of chunks: small data is copied, since a chunk for each message of a stream of them would cost more than the messages.
const (
	ownChunk   = 4 << 10  // data from this size on is a chunk itself; smaller is copied, many to a chunk
	smallChunk = 16 << 10 // the most memory for data that is copied; the first chunk has no more than it needs
)

// add adds data whose first octets have gone already: rest is its end. It reports whether data itself has become a chunk.
func (b *backlog) add(data, rest []byte) (taken bool) {
	b.size += len(rest)
	if last := len(b.chunks) - 1; last >= 0 {
		if c := &b.chunks[last]; cap(c.rest)-len(c.rest) >= len(rest) {
			c.rest = append(c.rest, rest...)
			return false
		}
	}
	if len(rest) >= ownChunk {
		b.chunks = append(b.chunks, chunk{data, rest})
		b.cost += int64(cap(data))
		return true
	}
	memory := append(buffer.Get(b.nextChunk(len(rest))), rest...)
	b.chunks = append(b.chunks, chunk{memory, memory})
	b.cost += int64(cap(memory))
	return false
}

// nextChunk is how much memory a chunk gets for n octets: twice as much as the one before, so that a stream of small
// messages has few chunks, and one small message has little memory.
func (b *backlog) nextChunk(n int) int {
	if len(b.chunks) == 0 {
		return n
	}
	return max(n, min(2*cap(b.chunks[len(b.chunks)-1].memory), smallChunk))
}

// next returns the first octets of what waits.
func (b *backlog) next() []byte { return b.chunks[0].rest }

// advance drops the first n octets, which are of one chunk.
func (b *backlog) advance(n int) {
	c := &b.chunks[0]
	c.rest = c.rest[n:]
	b.size -= n
	if len(c.rest) > 0 {
		return
	}
	b.cost -= int64(cap(c.memory))
	buffer.Put(c.memory)
	*c = chunk{}
	if b.chunks = b.chunks[1:]; len(b.chunks) == 0 {
		b.chunks = nil
	}
}

// clear drops everything.
func (b *backlog) clear() {
	for _, c := range b.chunks {
		buffer.Put(c.memory)
	}
	*b = backlog{}
}
