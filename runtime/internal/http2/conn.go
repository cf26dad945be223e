package http2

import (
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// Application is what a connection hands its requests to. Its methods are called by the reader goroutine.
type Application interface {
	// NewStream returns the stream for a request, with its Handler set and all else zero; it is usually part of a
	// struct of the application's. A nil stream refuses the request with REFUSED_STREAM.
	NewStream(request *fields.Section) *Stream

	// EndBatch is called when everything that was readable has been processed, before the reader waits for more.
	EndBatch()

	// Panicked is called when a goroutine or a timer of the connection's has panicked, while that unwinds the stack. The
	// connection ends.
	Panicked(reason any)
}

// StreamHandler receives what happens on a stream. Its methods are called by the reader goroutine and must not block.
type StreamHandler interface {
	// HandleRequest is called once, first. From now on the stream can be written to.
	HandleRequest(endStream bool)

	// HandleData receives content; data is valid during the call only. The octets count against the stream's
	// flow-control window until [Stream.Consumed] gives them back. Trailers are a call with no data and endStream.
	HandleData(data []byte, endStream bool)

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

// Conn is the server's side of an HTTP/2 connection.
type Conn struct {
	// Immutable after NewConn.
	config  *Config
	app     Application
	nc      *socket.Socket
	account *budget.Budget // of all that the peer makes us hold

	// Owned by the reader.
	prefaced bool   // the client's preface has come
	buf      []byte // read buffer; buf[start:end] is unprocessed
	start    int
	end      int
	fields   *fields.Decoder
	block    fieldBlock // the field block under way, while CONTINUATION frames are expected
	in       inflow
	flushDue bool // something was appended that is to be flushed after the batch
	greeted  bool // the peer's first SETTINGS frame has come
	opened   int  // streams opened that have not been set against resets
	resets   bucket
	controls bucket
	empties  bucket
	upkeep   upkeep

	received, sent atomic.Uint64 // octets
	peerMaxList    atomic.Uint32 // SETTINGS_MAX_HEADER_LIST_SIZE of the peer; written by the reader

	mu sync.Mutex
	// Guarded by mu.
	streams  streams
	out      outbox
	owed     uint32 // octets of the connection's window that the peer will get back once there is room
	window   budget.Claim
	withheld bool // window is in line
	life     lifetime
}

// NewConn returns a connection on nc. Serve has to be called. config is one that [Config.WithDefaults] has returned; many
// connections can have it in common. account counts what the peer makes us hold.
func NewConn(nc net.Conn, app Application, config *Config, account *budget.Budget) *Conn {
	c := &Conn{
		account:  account,
		config:   config,
		app:      app,
		nc:       socket.New(nc),
		streams:  streams{open: make(map[uint32]*Stream), idleSince: time.Now()},
		out:      outbox{maxPending: config.MaxPendingBytes, peerWindow: defaultWindow, window: defaultWindow, tableSize: defaultTableSize},
		resets:   config.Resets.bucket(),
		controls: config.Controls.bucket(),
		empties:  config.Empties.bucket(),
	}
	c.out.drained.L = &c.mu
	c.life.nc, c.life.app = c.nc, app
	c.out.stall = stall{account: account, after: config.WriteTimeout, checkProgressFunc: c.checkProgress}
	c.peerMaxList.Store(math.MaxInt32) // RFC 9113, Section 6.5.2: "The initial value of this setting is unlimited."
	c.window = budget.Claim{Line: budget.ForWindow, Granted: c.grantWindow}
	c.upkeep.begin(config)
	c.in = newInflow(int32(c.config.ConnWindow))
	c.fields = fields.NewDecoder(c.config.MaxHeaderListBytes, c.config.MaxHeaderFields)
	c.out.buf = appendSettings(nil, // first of all frames, RFC 9113, Section 3.4; it leaves when the peer's preface has come
		setting{settingMaxConcurrentStreams, uint32(c.config.MaxConcurrentStreams)},
		setting{settingInitialWindowSize, uint32(c.config.StreamWindow)},
		setting{settingMaxHeaderListSize, uint32(c.config.MaxHeaderListBytes)},
	)
	if more := c.config.ConnWindow - defaultWindow; more > 0 {
		c.out.buf = appendWindowUpdate(c.out.buf, 0, uint32(more))
	}
	return c
}

// Serve reads the connection until it ends and returns why: nil if it ended in good order. It closes the socket and
// calls HandleClose on what streams are left.
//
// If a method of the application's ends the goroutine (runtime.Goexit), Serve can be called again, and goes on. It can
// even be called while a [StreamHandler] is in HandleData, if that is going to end its goroutine and not return.
func (c *Conn) Serve() error { return c.finish(c.serve()) }

// Abandon ends the connection for want of a reader: Serve has panicked, and is not called again.
func (c *Conn) Abandon() { c.finish(ErrConnClosed) }

// finish closes the socket and tells everybody.
func (c *Conn) finish(err error) error {
	c.mu.Lock()
	c.life.stage = lingering // a write would prolong the close, with TLS
	c.mu.Unlock()
	c.nc.Close()
	c.mu.Lock()
	c.life.stopTimer()
	c.out.stall.stop()
	c.life.because(err)
	err = c.life.err
	c.out.drop()
	c.account.Drop(&c.window)
	c.out.drained.Broadcast()
	c.mu.Unlock()
	c.closeStreams()
	var end endOfConn
	if errors.As(err, &end) {
		return nil
	}
	return err
}

// closeStreams tells the streams that are open that the connection is over.
func (c *Conn) closeStreams() {
	c.account.Close()
	c.mu.Lock()
	left := make([]*Stream, 0, len(c.streams.open))
	for _, st := range c.streams.open {
		left = append(left, st)
		c.removeLocked(st, false)
	}
	c.mu.Unlock()
	for _, st := range left {
		st.Handler.HandleClose(ErrConnClosed)
	}
}

// serve is the serve loop: read, process every whole frame, let the answers go, and again.
func (c *Conn) serve() error {
	if !c.prefaced {
		c.mu.Lock()
		c.watchSetupLocked()
		c.mu.Unlock()
	} else {
		c.onInput(0) // what the reader that was here before has left
	}
	for {
		err := c.nc.ReadAll(c.readSpace, c.onInput, c.onIdle)
		if err == nil {
			return ConnError{ErrCodeProtocol, "no HTTP/2 client preface"}
		}
		if err = c.tend(err); err != nil {
			return err
		}
	}
}

// onInput processes a batch: n octets of input, behind what was left of the batch before. It reports false if the
// peer does not speak HTTP/2.
func (c *Conn) onInput(n int) (more bool) {
	c.end += n
	c.received.Add(uint64(n))
	c.upkeep.lastRead = time.Now()
	if c.yield() {
		c.start, c.end = 0, 0 // the connection has ended; what still comes is thrown away
		return true
	}
	if !c.prefaced {
		if c.prefaced, more = c.checkPreface(); !c.prefaced {
			return more || c.maybeHTTP1()
		}
	}
	if err := c.processBuffered(); err != nil {
		c.fail(err)
	}
	c.app.EndBatch()
	if c.flushDue {
		c.flushDue = false
		c.Flush()
	}
	return true
}

// checkPreface looks for the client's preface (RFC 9113, Section 3.4) at the beginning of the input.
func (c *Conn) checkPreface() (complete, possible bool) {
	got := c.buf[:min(c.end, len(clientPreface))]
	if string(got) != clientPreface[:len(got)] {
		return false, false
	}
	if len(got) < len(clientPreface) {
		return false, true
	}
	c.start = len(clientPreface)
	c.flushDue = true // our own preface waits in the out-buffer
	return true, true
}

// readSpace returns the free end of the read buffer, behind what is still unprocessed.
func (c *Conn) readSpace() []byte {
	if c.buf == nil {
		c.buf = (*readBuffers.Get().(*[readBufferSize]byte))[:]
	}
	if c.start > 0 {
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	}
	return c.buf[c.end:]
}

// onIdle gives the read buffer back while there is nothing to read.
func (c *Conn) onIdle() {
	if c.start == c.end && c.buf != nil {
		readBuffers.Put((*[readBufferSize]byte)(c.buf))
		c.buf, c.start, c.end = nil, 0, 0
	}
}

var readBuffers = sync.Pool{New: func() any { return new([readBufferSize]byte) }}

// processBuffered processes every whole frame in the read buffer.
func (c *Conn) processBuffered() error {
	for c.end-c.start >= frameHeaderLen {
		f, length := parseFrameHeader(c.buf[c.start:c.end])
		if length > minMaxFrameSize {
			// RFC 9113, Section 4.2. A connection error is right for every type, and spares us from skipping 16 MiB.
			return ConnError{ErrCodeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE"}
		}
		have := c.end - c.start - frameHeaderLen
		if have < length {
			return c.processPart(f, have, length)
		}
		c.start += frameHeaderLen
		f.payload = c.buf[c.start : c.start+length]
		c.start += length
		if err := c.processWhole(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) processWhole(f frame) error {
	if err := c.processFrame(f); err != nil {
		var streamErr StreamError
		if !errors.As(err, &streamErr) {
			return err
		}
		return c.failStream(streamErr)
	}
	return nil
}

// processPart processes what has come of a frame that is under way, if that is content and enough to be worth it. It is
// processed as a DATA frame of its own, and so will be the rest, whose header is put where the part ends. Otherwise, of a
// client that sends large messages, nearly all content would be moved to the front of the buffer to wait for the end of
// its frame, and reads would fill but half of the buffer.
func (c *Conn) processPart(f frame, have, length int) error {
	if f.kind != frameData || f.has(flagPadded) || have < minPart {
		return nil
	}
	flags := f.flags
	f.flags &^= flagEndStream
	f.payload = c.buf[c.end-have : c.end]
	err := c.processWhole(f)
	c.start = c.end - frameHeaderLen
	appendFrameHeader(c.buf[c.start:c.start], f.kind, flags, f.streamID, length-have)
	return err
}

// failStream ends a stream by a stream error.
func (c *Conn) failStream(e StreamError) error {
	if !c.takeReset() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many stream errors"}
	}
	return c.resetStream(e)
}

// resetStream answers a stream with RST_STREAM.
func (c *Conn) resetStream(e StreamError) error {
	c.mu.Lock()
	st, idle := c.streams.open[e.StreamID], c.streams.isIdle(e.StreamID)
	if idle && c.life.stage < draining {
		c.mu.Unlock()
		// RFC 9113, Section 6.4: "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state."
		return ConnError{e.Code, e.Reason}
	}
	c.appendControlLocked(appendRSTStream(c.out.buf, e.StreamID, e.Code))
	if st != nil {
		c.removeLocked(st, true)
	} else if !idle {
		c.streams.recent.add(e.StreamID, true)
	}
	c.streams.opening = false
	c.endIfDrainedLocked()
	c.mu.Unlock()
	c.flushDue = true
	if st != nil {
		st.Handler.HandleClose(e)
	}
	return nil
}

// takeReset takes a token for a stream that ends by RST_STREAM. Of the streams that a busy client opens it may cancel
// half.
func (c *Conn) takeReset() bool {
	if c.resets.take() {
		return true
	}
	opened := c.opened
	c.opened = 0
	return c.resets.put(opened / 2)
}

// fail ends the connection by an error: a GOAWAY frame, and then the socket is closed in such a way that the peer
// gets to read it.
func (c *Conn) fail(err error) {
	var connErr ConnError
	if !errors.As(err, &connErr) {
		connErr = ConnError{ErrCodeInternal, err.Error()}
	}
	c.mu.Lock()
	c.endLocked(connErr, connErr.Code, connErr.Reason)
	c.mu.Unlock()
	c.start, c.end = 0, 0
	c.flushDue = true
	c.closeStreams()
}

// appendControlLocked takes the out-buffer with a frame of the connection's own appended, unless nothing may be sent
// any more.
func (c *Conn) appendControlLocked(out []byte) {
	if c.life.stage < ending {
		c.out.buf = out
	}
}

// endIfDrainedLocked ends the connection if it is being shut down and its last stream has ended.
func (c *Conn) endIfDrainedLocked() {
	if c.streams.none() {
		c.life.drained()
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

// WatchStall has the connection end if it is still stuck when Config.WriteTimeout is over, and the peer has taken nothing
// meanwhile. Call it when something has to wait for room in the account.
func (c *Conn) WatchStall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.watch()
}

// checkProgress ends a connection that is stuck.
func (c *Conn) checkProgress() {
	defer c.life.contain()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.stuck() {
		err := ConnError{ErrCodeEnhanceYourCalm, "responses are not taken"}
		if c.account.Used(budget.Responses) == 0 {
			err.Reason = "requests are not completed, and the server is full"
		}
		c.endLocked(err, err.Code, err.Reason)
		c.flushLocked()
	}
}

// Backlog returns the memory behind what waits of responses, octet by octet counted anew: for tests.
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

// Open returns how many streams are open.
func (c *Conn) Open() int { return int(c.account.Count(budget.Streams)) }

// Lonely reports whether the connection has one stream at most, so that there is nobody to share a write with.
func (c *Conn) Lonely() bool { return c.Open() <= 1 }
