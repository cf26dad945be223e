package http2

import (
	"errors"
	"net"
	"strings"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// ClientEvents are what a client's connection tells its user. The reader calls the methods, but for Panicked.
type ClientEvents interface {
	Events

	// HandleSettings is called whenever SETTINGS of the server's have been applied. The first permit streams; all may
	// change how many there can be.
	HandleSettings()

	// HandleGoAway is called when the server wants no more streams. Those that it will not process have been closed with
	// the same error; the others go on, and the connection ends with the last of them.
	HandleGoAway(err GoAwayError)
}

// The errors of [Client.Open], beside [GoAwayError] and [ErrConnClosed]. No frame has been sent.
var (
	ErrNotReady    = errors.New("http2: the server's SETTINGS are not there yet")
	ErrStreamLimit = errors.New("http2: the server permits no more streams (SETTINGS_MAX_CONCURRENT_STREAMS)")
)

// Client is a client's connection. It opens streams, and pushes are disabled.
type Client struct {
	*Conn
	events ClientEvents

	// Guarded by Conn.mu.
	next uint32       // the identifier of the stream that is opened next
	away *GoAwayError // the server's last; nil: none
}

// NewClient returns a client's connection on nc. Serve has to be called. config and account are as for [NewConn]; what config
// says of streams that the peer opens, of its resets and of its PINGs is of no consequence: a server resets what we open, and
// sends a PING when it likes.
func NewClient(nc net.Conn, events ClientEvents, config *Config, account *budget.Budget) *Client {
	c := &Client{Conn: newConn(nc, events, config, account), events: events, next: 1}
	c.role = c
	c.in.floods.resets = unbounded()
	c.in.upkeep.pingInterval = -1
	c.out.buf = append(c.out.buf, clientPreface...)
	c.announce(
		setting{settingEnablePush, 0},
		setting{settingInitialWindowSize, uint32(config.StreamWindow)},
		setting{settingMaxHeaderListSize, uint32(config.MaxHeaderListBytes)},
	)
	return c
}

// Open opens a stream with the head of a request, as [Stream.Head] takes it. st has its Handler set and all else zero. Data
// and End follow. The response is read to its end however the request ends, unless [Stream.Reset] ends both.
func (c *Client) Open(st *Stream, head []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.beginLocked(st); err != nil {
		return err
	}
	c.out.appendHeaders(&st.sender, head, false)
	c.endIdentifiersLocked()
	return nil
}

// OpenMessage opens a stream with a whole request: it is Open, [Stream.Data] and [Stream.End] in one.
func (c *Client) OpenMessage(st *Stream, head, data []byte, reserved int64) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.beginLocked(st); err != nil {
		return false, err
	}
	taken = st.messageLocked(head, data, nil, reserved)
	c.endIdentifiersLocked()
	return taken, nil
}

// beginLocked makes a stream the next one, if there may be one.
func (c *Client) beginLocked(st *Stream) error {
	switch {
	case c.away != nil:
		return *c.away
	case c.life.stage != serving:
		return ErrConnClosed
	case c.in.preface < prefaceDone:
		return ErrNotReady
	case uint32(len(c.streams.open)) >= c.streams.limit:
		return ErrStreamLimit
	}
	st.readToEnd, st.missing = true, -1
	c.streams.begin(c.next)
	c.openLocked(st, c.next)
	c.next += 2
	c.out.ready()
	return nil
}

// endIdentifiersLocked shuts the connection down behind the last stream that it can have. RFC 9113, Section 5.1.1: "A client
// that is unable to establish a new stream identifier can establish a new connection for new streams."
func (c *Client) endIdentifiersLocked() {
	if c.next > maxWindow {
		c.shutdownLocked("")
	}
}

// begin sends our preface. The server may wait for it before it says anything.
func (c *Client) begin() { c.Flush() }

// takePreface looks whether the server speaks HTTP/1, which could pass for the header of a frame. The preface of a server is
// its first SETTINGS frame, and needs no look here.
func (c *Client) takePreface() (done bool, err error) {
	const http1 = "HTTP/"
	switch input := string(c.in.buf.unread()[:min(len(http1), len(c.in.buf.unread()))]); {
	case input == http1:
		return false, ConnError{ErrCodeHTTP11Required, "the server speaks HTTP/1"}
	case strings.HasPrefix(http1, input):
		return false, nil
	}
	return true, nil
}

// processBlock takes the head of a response, or its trailers.
func (c *Client) processBlock(b fieldBlock) error {
	c.mu.Lock()
	st, idle := c.streams.open[b.streamID], c.streams.isIdle(b.streamID)
	byUs, known := c.streams.recent.find(b.streamID)
	c.mu.Unlock()
	kind := fields.Response
	if st != nil && st.headReceived {
		kind = fields.Trailers
	}
	section, err := c.in.fields.Decode(kind, b.octets)
	switch {
	case err != nil:
		return ConnError{ErrCodeCompression, err.Error()}
	case idle:
		// RFC 9113, Section 5.1.1: odd identifiers are the client's to use, and it has not used this one.
		return ConnError{ErrCodeProtocol, "HEADERS on an idle stream"}
	case st == nil && known && !byUs:
		return ConnError{ErrCodeStreamClosed, "HEADERS on a closed stream"}
	case st == nil: // RFC 9113, Section 5.1: what arrives after our RST_STREAM is ignored.
		return nil
	case !st.state.canReceive():
		return StreamError{st.id, ErrCodeStreamClosed, "HEADERS after END_STREAM"}
	case st.headReceived:
		return c.processTrailers(st, section, b.endStream)
	}
	return c.processHead(st, section, b.endStream)
}

// processHead takes the head of a response, or of an interim one.
func (c *Client) processHead(st *Stream, head *fields.Section, endStream bool) error {
	interim := strings.HasPrefix(head.Status, "1")
	switch {
	case head.Malformed != "":
		return StreamError{st.id, ErrCodeProtocol, head.Malformed}
	case interim && endStream:
		// RFC 9113, Section 8.1: "A HEADERS frame with the END_STREAM flag set that carries an informational status code is
		// malformed".
		return StreamError{st.id, ErrCodeProtocol, "an interim response ends the stream"}
	case head.Status == "101":
		// RFC 9113, Section 8.6: HTTP/2 has no 101 (Switching Protocols).
		return StreamError{st.id, ErrCodeProtocol, "the status is 101"}
	case interim && !c.in.floods.takeControl():
		return ConnError{ErrCodeEnhanceYourCalm, "too many interim responses"}
	case endStream && head.ContentLength > 0 && head.Status != "304":
		return StreamError{st.id, ErrCodeProtocol, "content-length without content"}
	}
	if !interim {
		st.headReceived, st.missing = true, head.ContentLength
	}
	if endStream {
		st.state.set(remoteClosed)
		defer c.removeRead(st)
	}
	st.Handler.HandleHead(head, endStream)
	return nil
}

// afterSettings tells the user that streams can be opened, or more of them, or fewer.
func (c *Client) afterSettings() { c.events.HandleSettings() }

// dependsOnItself ignores what priorities say: RFC 9113 has no rule for it any more.
func (c *Client) dependsOnItself(uint32) error { return nil }

// processPushPromise refuses a push (RFC 9113, Section 6.6), which SETTINGS_ENABLE_PUSH has forbidden.
func (c *Client) processPushPromise() error {
	return ConnError{ErrCodeProtocol, "PUSH_PROMISE although push is disabled"}
}

// processGoAway closes the streams that the server will not process, and opens no more. The others go on. A server that names
// an error is going to close the connection: if it does not, we do. Each GOAWAY costs a walk over the streams.
func (c *Client) processGoAway(last uint32, code ErrCode, debug []byte) error {
	if last != 0 && last%2 == 0 {
		return ConnError{ErrCodeProtocol, "GOAWAY names a stream that is none of ours"}
	}
	if !c.in.floods.takeControl() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many GOAWAY frames"}
	}
	away := GoAwayError{last, code, string(debug)}
	var refused []*Stream
	c.mu.Lock()
	c.away = &away
	if c.life.stage == serving {
		c.life.stage = finalGoAwaySent
	}
	if code != ErrCodeNo && c.life.err == nil { // the first error counts: others must not put the end off
		c.life.setErr(away)
		c.life.closeIn(endTime)
	}
	for id, st := range c.streams.open {
		if id > last {
			refused = append(refused, st)
			c.removeLocked(st, true)
		}
	}
	c.endIfNoStreamsLocked()
	c.mu.Unlock()
	c.FlushAfterBatch()
	defer c.events.HandleGoAway(away)
	closeAll(refused, away)
	return nil
}

// lastStreamLocked is none: a server opens no streams.
func (c *Client) lastStreamLocked() (last uint32, certain bool) { return 0, true }
