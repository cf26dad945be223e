package http2

import (
	"net"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// Application is what a server's connection hands its requests to. The reader calls its methods.
type Application interface {
	Events

	// NewStream returns the stream for a request, with its Handler set and all else zero; it is usually part of a
	// struct of the application's. A nil stream refuses the request with REFUSED_STREAM.
	NewStream(request *fields.Section) *Stream

	// NotHTTP2 is called when the client does not begin with HTTP/2's preface. It returns what serves the connection then,
	// as for [Conn.ServeBy]; nil: it is refused.
	NotHTTP2() (serve func(nc net.Conn, done func()))

	// Refused is called with a request that does not become a stream, before the stream is reset.
	Refused(request *fields.Section, why StreamError)
}

// NewConn returns a server's connection on nc. Serve has to be called. config is one that [Config.WithDefaults] has returned;
// many connections can have it in common. account counts what the peer makes us hold.
func NewConn(nc net.Conn, app Application, config *Config, account *budget.Budget) *Conn {
	c := newConn(nc, app, config, account)
	c.role = &server{c, app}
	c.announce( // our preface, RFC 9113, Section 3.4; it leaves when the client's is there
		setting{settingMaxConcurrentStreams, uint32(config.MaxConcurrentStreams)},
		setting{settingInitialWindowSize, uint32(config.StreamWindow)},
		setting{settingMaxHeaderListSize, uint32(config.MaxHeaderListBytes)},
	)
	return c
}

// server is the role of a connection whose peer opens the streams.
type server struct {
	c   *Conn
	app Application
}

// begin has nothing to do: our preface waits for the client's, so that what speaks no HTTP/2 gets none.
func (s *server) begin() {}

// takePreface looks for the client's preface (RFC 9113, Section 3.4) at the beginning of the input.
func (s *server) takePreface() (done bool, err error) {
	input := s.c.in.buf.unread()
	input = input[:min(len(input), len(clientPreface))]
	switch {
	case string(input) != clientPreface[:len(input)]:
		if serve := s.app.NotHTTP2(); serve != nil {
			return false, s.c.passOn(serve)
		}
		return false, s.refuseHTTP1()
	case len(input) < len(clientPreface):
		return false, nil
	}
	s.c.in.buf.skip(len(clientPreface))
	s.c.FlushAfterBatch() // our own preface waits in the out-buffer
	return true, nil
}

// processBlock opens a stream with a request, or takes the trailers of one. All field blocks are decoded, since each may change
// the dynamic table.
func (s *server) processBlock(b fieldBlock) error {
	c := s.c
	if b.streamID > c.streams.highest { // only the reader writes it
		request, err := c.in.fields.Decode(fields.Request, b.octets)
		if err != nil {
			return ConnError{ErrCodeCompression, err.Error()}
		}
		if refused, err := s.judge(b, request); refused || err != nil {
			return err
		}
		return s.open(b, request)
	}
	trailers, err := c.in.fields.Decode(fields.Trailers, b.octets)
	if err != nil {
		return ConnError{ErrCodeCompression, err.Error()}
	}
	c.mu.Lock()
	st := c.streams.open[b.streamID]
	c.mu.Unlock()
	switch {
	case st == nil:
		return s.headersOnClosedStream(b.streamID)
	case !st.state.canReceive():
		return StreamError{st.id, ErrCodeStreamClosed, "HEADERS after END_STREAM"}
	}
	return c.processTrailers(st, trailers, b.endStream)
}

// headersOnClosedStream judges HEADERS on a stream that is closed, or was skipped by the client.
func (s *server) headersOnClosedStream(id uint32) error {
	s.c.mu.Lock()
	byUs, known := s.c.streams.recent.find(id)
	s.c.mu.Unlock()
	switch {
	case byUs:
		return nil // RFC 9113, Section 5.1: what arrives after our RST_STREAM is ignored.
	case known:
		return ConnError{ErrCodeStreamClosed, "HEADERS on a closed stream"}
	}
	// RFC 9113, Section 5.1.1: "The identifier of a newly established stream MUST be numerically greater than all
	// streams that the initiating endpoint has opened".
	return ConnError{ErrCodeProtocol, "stream identifier is not greater than the last one"}
}

// judge records the request's stream identifier as the client's last, and decides whether the request becomes a stream.
// A refused request has been answered, or is ignored.
func (s *server) judge(b fieldBlock, request *fields.Section) (refused bool, err error) {
	c, id := s.c, b.streamID
	c.mu.Lock()
	ignored := c.life.stage >= finalGoAwaySent
	atStreamLimit := len(c.streams.open) >= c.config.MaxConcurrentStreams
	if !ignored {
		c.streams.begin(id) // failStream, or what follows, ends the opening
	}
	if id == maxWindow {
		// RFC 9113, Section 5.1.1: a client that has used up the stream identifiers needs a new connection. Shutdown says
		// so, and serves this one.
		c.shutdownLocked("no stream identifiers are left")
	}
	c.mu.Unlock()
	switch {
	case ignored:
		return true, nil
	case request.Malformed != "":
		return true, s.refuse(request, StreamError{id, ErrCodeProtocol, request.Malformed})
	case b.selfDep:
		return true, s.refuse(request, StreamError{id, ErrCodeProtocol, "stream depends on itself"})
	case atStreamLimit:
		return true, s.refuse(request, StreamError{id, ErrCodeRefusedStream, "more streams than SETTINGS_MAX_CONCURRENT_STREAMS"})
	case b.endStream && request.ContentLength > 0:
		return true, s.refuse(request, StreamError{id, ErrCodeProtocol, "content-length without content"})
	case c.account.Overdrawn():
		// We hold too much; the peer has done nothing wrong, so this costs it no token. RFC 9113, Section 8.7: the
		// request may be sent again.
		return true, c.resetStream(s.refuse(request, StreamError{id, ErrCodeRefusedStream, "more is held for the peer than it may have"}))
	}
	return false, nil
}

// refuse tells the application that a request does not become a stream, and returns why.
func (s *server) refuse(request *fields.Section, why StreamError) StreamError {
	s.app.Refused(request, why)
	return why
}

// open opens a stream for a request.
func (s *server) open(b fieldBlock, request *fields.Section) error {
	c := s.c
	st := s.app.NewStream(request)
	if st == nil {
		return s.refuse(request, StreamError{b.streamID, ErrCodeRefusedStream, "refused by the application"})
	}
	st.headReceived = true
	st.missing = request.ContentLength
	if b.endStream {
		st.state.set(remoteClosed)
	}
	c.mu.Lock()
	c.openLocked(st, b.streamID)
	c.mu.Unlock()
	c.in.floods.opened++
	st.Handler.HandleHead(request, b.endStream)
	return nil
}

// afterSettings has nothing to do: a server opens no streams.
func (s *server) afterSettings() {}

// dependsOnItself refuses what RFC 7540, Section 5.3.1 did not permit. RFC 9113 has no rule for it, and clients of today send
// no such frame.
func (s *server) dependsOnItself(id uint32) error {
	return StreamError{id, ErrCodeProtocol, "stream depends on itself"}
}

// processPushPromise refuses what only a server may send. RFC 9113, Section 8.4: "A client cannot push. Thus, servers MUST
// treat the receipt of a PUSH_PROMISE frame as a connection error".
func (s *server) processPushPromise() error {
	return ConnError{ErrCodeProtocol, "PUSH_PROMISE from a client"}
}

// processGoAway has nothing to do (RFC 9113, Section 6.8): the client takes no streams that we push, and we push none. Those
// that are open go on.
func (s *server) processGoAway(uint32, ErrCode, []byte) error { return nil }

// lastStreamLocked is the last request that has been read. Others may be on their way.
func (s *server) lastStreamLocked() (last uint32, certain bool) { return s.c.streams.highest, false }
