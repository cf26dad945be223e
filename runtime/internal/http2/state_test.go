package http2

import (
	"fmt"
	"testing"
)

// TestStreamState_Transitions is the picture in state.go as a table: every state and every event. A stream that was
// reset may still be told of END_STREAM by the other side, which changes nothing.
func TestStreamState_Transitions(t *testing.T) {
	const (
		recvEndStream = remoteClosed
		sendEndStream = localClosed
		rstStream     = reset
	)
	type verdict struct{ canSend, canReceive, isClosed bool }
	states := map[uint32]struct {
		name string
		verdict
	}{
		open:           {"open", verdict{true, true, false}},
		remoteClosed:   {"half-closed (remote)", verdict{true, false, false}},
		localClosed:    {"half-closed (local)", verdict{false, true, false}},
		closed:         {"closed", verdict{false, false, true}},
		reset:          {"closed by RST_STREAM, from open", verdict{false, false, true}},
		3 << 1:         {"closed by RST_STREAM, from half-closed (local)", verdict{false, false, true}},
		reset | 1:      {"closed by RST_STREAM, from half-closed (remote)", verdict{false, false, true}},
		reset | closed: {"closed twice", verdict{false, false, true}},
	}
	next := []struct{ from, event, to uint32 }{
		{open, recvEndStream, remoteClosed},
		{open, sendEndStream, localClosed},
		{open, rstStream, reset},
		{remoteClosed, recvEndStream, remoteClosed},
		{remoteClosed, sendEndStream, closed},
		{remoteClosed, rstStream, reset | remoteClosed},
		{localClosed, recvEndStream, closed},
		{localClosed, sendEndStream, localClosed},
		{localClosed, rstStream, reset | localClosed},
		{closed, recvEndStream, closed},
		{closed, sendEndStream, closed},
		{closed, rstStream, reset | closed},
		{reset, recvEndStream, reset | remoteClosed},
		{reset, sendEndStream, reset | localClosed},
		{reset, rstStream, reset},
		{reset | remoteClosed, recvEndStream, reset | remoteClosed},
		{reset | remoteClosed, sendEndStream, reset | closed},
		{reset | remoteClosed, rstStream, reset | remoteClosed},
		{reset | localClosed, recvEndStream, reset | closed},
		{reset | localClosed, sendEndStream, reset | localClosed},
		{reset | localClosed, rstStream, reset | localClosed},
		{reset | closed, recvEndStream, reset | closed},
		{reset | closed, sendEndStream, reset | closed},
		{reset | closed, rstStream, reset | closed},
	}
	if len(next) != 3*len(states) {
		t.Fatalf("%d transitions for %d states and 3 events", len(next), len(states))
	}
	for _, row := range next {
		from, to := states[row.from], states[row.to]
		var s streamState
		s.bits.Store(row.from)
		if before := s.set(row.event); before != row.from {
			t.Errorf("%s: set reports %#x as the state before", from.name, before)
		}
		if got := s.bits.Load(); got != row.to {
			t.Errorf("%s, event %#x: got %#x, want %s", from.name, row.event, got, to.name)
		}
		if got := (verdict{s.canSend(), s.canReceive(), s.isClosed()}); got != to.verdict {
			t.Errorf("%s: canSend, canReceive, isClosed are %v", to.name, got)
		}
	}
}

func TestRecentStreams_Find(t *testing.T) {
	var r recentStreams
	for id := uint32(1); id < 2000; id += 2 {
		r.add(id, id%10 == 1)
	}
	for _, row := range []struct {
		id          uint32
		byUs, known bool
	}{
		{1999, false, true},
		{1997, false, true},
		{1981, true, true},
		{1991, true, true},
		{1601, true, true},
		{1, false, false},
		{1603, false, false},
		{2001, false, false},
	} {
		if byUs, known := r.find(row.id); byUs != row.byUs || known != row.known {
			t.Errorf("stream %d: got %v, %v", row.id, byUs, known)
		}
	}
}

// What is on its way when we reset a stream is ignored, however many other streams end meanwhile.
func TestConn_RemembersStreamsItHasReset(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		p.app.onRequest = func(st *testStream, endStream bool) bool {
			if st.id > 20 {
				return false
			}
			st.write(outgoing{Headers: okHeaders, Finish: true}) // an early response
			return true
		}
		for id := uint32(1); id < 20; id += 2 {
			p.WriteHeaders(id, false, request()...)
			p.WantHeaders(id, true)
			p.wantRSTStream(id, ErrCodeNo)
		}
		for id := uint32(21); id < 2000; id += 2 {
			p.WriteHeaders(id, true, request()...)
			p.wantReply(id, "")
		}
		for id := uint32(1); id < 20; id += 2 {
			p.WriteData(id, false, "still on its way")
			p.WriteHeaders(id, true, "trailer", fmt.Sprint(id))
		}
		stillServes(p)
	})
}

func stillServes(p *peer) {
	p.t.Helper()
	p.WantNothing()
	p.wantServed(2001)
}

// DATA on a stream that has ended too long ago to be remembered costs the peer nothing.
func TestConn_IgnoresData_OnForgottenStream(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		for id := uint32(1); id < 200; id += 2 {
			p.WriteHeaders(id, true, request()...)
			p.wantReply(id, "")
		}
		for range 2000 {
			p.WriteData(1, false, "x")
		}
		for f, ok := p.Poll(); ok; f, ok = p.Poll() {
			p.t.Fatalf("got %v", f)
		}
		stillServes(p)
	})
}
