package http2

import (
	"errors"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// Events are the calls by which a connection informs its user.
type Events interface {
	// EndBatch is called by the reader when everything that was readable has been processed, before it waits for more.
	EndBatch()

	// Panicked is called when a goroutine or a timer of the connection's has panicked, while that unwinds the stack. The
	// connection ends.
	Panicked(reason any)
}

// StreamHandler receives what happens on a stream. Its methods are called by the reader goroutine and must not block.
type StreamHandler interface {
	// HandleHead receives the head of a request or of a response. A request's is the first call; from then on the stream
	// can be written to. Interim responses, with a status of 1xx, go before a response's.
	HandleHead(head *fields.Section, endStream bool)

	// HandleData receives content; data is valid during the call only. The octets count against the stream's
	// flow-control window until [Stream.Consumed] gives them back.
	HandleData(data []byte, endStream bool)

	// HandleTrailers receives the trailers, with which the peer's half of the stream ends.
	HandleTrailers(trailers *fields.Section)

	// HandleClose is called when the stream has ended other than by our own END_STREAM: err is a [ResetError], a
	// [StreamError], or the connection's error. It is the last call, and may come after our own END_STREAM has been
	// written and not sent.
	HandleClose(err error)

	// HandleRemoved is called once, when the connection has forgotten the stream and what waited of its response. Any
	// goroutine may call it, with locks held: it must not block, nor use the connection. HandleClose may follow.
	HandleRemoved()
}

// ErrConnClosed is the error of streams whose connection is over.
var ErrConnClosed = errors.New("http2: connection closed")

// Conn is an HTTP/2 connection.
type Conn struct {
	// Immutable after the connection was made.
	config  *Config
	app     Events
	role    role
	nc      *socket.Socket
	account *budget.Budget // counts everything the peer makes us hold

	in inbound // owned by the reader

	received, sent atomic.Uint64 // octets
	peerMaxList    atomic.Uint32 // SETTINGS_MAX_HEADER_LIST_SIZE of the peer; written by the reader

	mu locks.Mutex[locks.Connection]
	// Guarded by mu.
	streams streams
	windows windows
	out     outbox
	credit  credit
	life    lifetime
}

// closeStreams closes the open streams, since the connection is over.
func (c *Conn) closeStreams() {
	c.account.Close()
	c.mu.Lock()
	left := make([]*Stream, 0, len(c.streams.open))
	for _, st := range c.streams.open {
		left = append(left, st)
		c.removeLocked(st, false)
	}
	c.mu.Unlock()
	// Without mu: a handler may use the connection, and wait for locks under which others do.
	closeAll(left, ErrConnClosed)
}

// closeAll tells streams that they are over, also those behind one whose handler ends the goroutine.
func closeAll(streams []*Stream, err error) {
	for _, st := range streams {
		defer st.Handler.HandleClose(err)
	}
}

// appendControlLocked replaces the out-buffer by out, which has a control frame appended, unless the connection is
// ending.
func (c *Conn) appendControlLocked(out []byte) {
	if c.life.stage < ending {
		c.out.buf = out
	}
}

// endIfNoStreamsLocked ends the connection if it is being shut down and its last stream has ended.
func (c *Conn) endIfNoStreamsLocked() {
	if c.streams.none() {
		c.life.onNoStreams()
	}
}

// Streams calls visit for each open stream. visit must not block or use the connection.
func (c *Conn) Streams(visit func(*Stream)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams.open {
		visit(st)
	}
}

// Stream returns an open stream by its identifier; nil if it is not open.
func (c *Conn) Stream(id uint32) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams.open[id]
}

// WatchStall starts a watch over a connection that may be stuck. After Config.WriteTimeout, the connection ends if it is
// still stuck and the peer has taken nothing. Call it when something has to wait for room in the account.
func (c *Conn) WatchStall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.watch()
}

// Backlog returns the memory of the response data that waits. It counts each buffer anew, for tests.
func (c *Conn) Backlog() (octets int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	octets = c.out.memory()
	for _, st := range c.streams.open {
		for _, chunk := range st.backlog.chunks {
			octets += int64(cap(chunk.memory))
		}
		octets += int64(cap(st.trailers))
	}
	return octets
}

// Octets returns how much has been received from the network and sent to it.
func (c *Conn) Octets() (received, sent uint64) { return c.received.Load(), c.sent.Load() }

// OpenStreams returns how many streams are open.
func (c *Conn) OpenStreams() int { return int(c.account.Count(budget.Streams)) }

// SingleStream reports whether the connection has one stream at most, so that no other can share a write with it.
func (c *Conn) SingleStream() bool { return c.OpenStreams() <= 1 }
