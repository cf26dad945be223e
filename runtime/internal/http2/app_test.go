package http2

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// testApp is an Application that notes what it is told. Unless a script says otherwise it answers each request, once
// that has ended, with its own content.
type testApp struct {
	streams map[uint32]*testStream
	all     []*testStream
	refused []StreamError

	// The script. What is nil does nothing but the default.
	accept     func(*fields.Section) bool
	onRequest  func(st *testStream, endStream bool) (handled bool)
	onData     func(st *testStream, data []byte, endStream bool) (handled bool)
	onClose    func(st *testStream, err error)
	onPanic    func(reason any)
	serveOther func(nc net.Conn, done func())

	passedOn []error // how those have ended who have read a connection that was passed on
}

func newTestApp() *testApp { return &testApp{streams: make(map[uint32]*testStream)} }

// testStream is a stream of testApp's.
type testStream struct {
	Stream
	app      *testApp
	request  *fields.Section
	requests int    // calls of HandleHead
	data     []byte // the content
	chunks   int    // calls of HandleData
	ended    bool   // END_STREAM has come
	replied  bool   // the response has been written to its end
	errs     []error
	offence  string // a call that was not allowed
	removed  atomic.Int32
}

func (a *testApp) NotHTTP2() func(net.Conn, func()) { return a.serveOther }

func (a *testApp) NewStream(request *fields.Section) *Stream {
	if a.accept != nil && !a.accept(request) {
		return nil
	}
	st := &testStream{app: a, request: request}
	st.Handler = st
	a.all = append(a.all, st)
	return &st.Stream
}

func (a *testApp) Refused(_ *fields.Section, why StreamError) { a.refused = append(a.refused, why) }

func (a *testApp) EndBatch() {}

// Panicked implements Application.
func (a *testApp) Panicked(reason any) {
	if a.onPanic == nil {
		panic(reason)
	}
	a.onPanic(reason)
}

func (st *testStream) HandleHead(_ *fields.Section, endStream bool) {
	st.app.streams[st.id] = st
	st.requests++
	st.ended = endStream
	if st.app.onRequest != nil && st.app.onRequest(st, endStream) {
		return
	}
	if endStream {
		st.reply()
	}
}

func (st *testStream) HandleData(data []byte, endStream bool) {
	st.mustBeOpen("HandleData")
	if st.ended {
		st.offence = "HandleData after END_STREAM"
	}
	st.data = append(st.data, data...)
	st.chunks++
	st.ended = endStream
	if st.app.onData != nil && st.app.onData(st, data, endStream) {
		return
	}
	if st.Consumed(len(data)) {
		st.conn.FlushAfterBatch()
	}
	if endStream {
		st.reply()
	}
}

func (st *testStream) HandleClose(err error) {
	st.mustBeOpen("HandleClose")
	st.errs = append(st.errs, err)
	if st.app.onClose != nil {
		st.app.onClose(st, err)
	}
}

// HandleTrailers takes trailers for the end of the content, which is all that a server wants of them.
func (st *testStream) HandleTrailers(*fields.Section) { st.HandleData(nil, true) }

// HandleRemoved comes with the connection's lock held, once for each stream.
func (st *testStream) HandleRemoved() { st.removed.Add(1) }

func (st *testStream) mustBeOpen(call string) {
	switch {
	case st.requests != 1:
		st.offence = call + " before HandleHead"
	case len(st.errs) > 0:
		st.offence = call + " after HandleClose"
	}
}

// reply answers with the content of the request.
func (st *testStream) reply() { st.replyWith(st.data) }

func (st *testStream) replyWith(data []byte) {
	st.write(outgoing{Headers: okHeaders, Data: append([]byte(nil), data...), Trailers: okTrailers})
}

var (
	okHeaders  = fields.AppendStatus(nil, 200)
	okTrailers = fields.AppendField(nil, "end", "yes")
)

// outgoing is part of a response, in the order in which it goes out.
type outgoing struct {
	Headers, Data, Trailers []byte
	Finish                  bool // the stream ends here, also without trailers
	Discard                 bool // data of earlier calls that waits is dropped
}

// Write writes part of a response, in one call if that ends the stream.
func (st *Stream) Write(o outgoing) (taken bool, err error) {
	end := o.Finish || o.Trailers != nil
	switch {
	case o.Discard && end && o.Headers == nil && o.Data == nil:
		return false, st.End(o.Trailers, true)
	case o.Discard:
		st.conn.mu.Lock()
		st.conn.out.discard(&st.sender)
		st.conn.mu.Unlock()
	}
	switch {
	case end:
		return st.Message(o.Headers, o.Data, o.Trailers, 0)
	case o.Data != nil:
		return st.Data(o.Headers, o.Data, 0, false)
	case o.Headers != nil:
		return false, st.Head(o.Headers)
	}
	return false, nil
}

// write writes on the reader goroutine, which flushes at the end of the batch.
func (st *testStream) write(o outgoing) {
	if _, err := st.Write(o); err == nil && (o.Finish || o.Trailers != nil) {
		st.replied = true
	}
	st.conn.FlushAfterBatch()
}

// closedBy returns the error that ended the stream, and fails if there is not exactly one.
func (st *testStream) closedBy(t testing.TB) error {
	t.Helper()
	if len(st.errs) != 1 {
		t.Fatalf("stream %d: HandleClose was called %d times: %v", st.id, len(st.errs), st.errs)
	}
	return st.errs[0]
}

// check checks what has to be true of every stream of a connection that is over: it has ended exactly once, by our
// END_STREAM or by HandleClose. Both can come if the response was written and not sent.
func (a *testApp) check(t testing.TB) {
	t.Helper()
	for _, st := range a.all {
		if err := st.verdict(); err != nil {
			t.Errorf("stream %d: %v", st.id, err)
		}
	}
}

func (st *testStream) verdict() error {
	switch {
	case st.offence != "":
		return fmt.Errorf("%s", st.offence)
	case st.requests != 1:
		return fmt.Errorf("HandleHead was called %d times", st.requests)
	case len(st.errs) > 1:
		return fmt.Errorf("HandleClose was called %d times: %v", len(st.errs), st.errs)
	case st.removed.Load() != 1:
		return fmt.Errorf("HandleRemoved was called %d times", st.removed.Load())
	case len(st.errs) == 0 && st.state.canSend():
		return fmt.Errorf("it has no end")
	}
	return nil
}
