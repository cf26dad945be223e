package http2

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

const (
	testTrip  = 50 * time.Millisecond
	testLimit = 16 << 20 // of the account
	testShare = testLimit / 4
	mebi      = 1 << 20
)

// uploader is a peer at the end of a line on which a round trip takes testTrip, and nothing else takes time. It sends content as
// far as the windows permit, and keeps its own books of them.
type uploader struct {
	*peer
	account *budget.Budget
	initial int // our SETTINGS_INITIAL_WINDOW_SIZE, as the peer knows it
	credit  int // what it may send on the connection
	streams map[uint32]int
	log     []string // what has come that is not of windows of streams
	pings   int
	sent    int

	// What the peer does not do.
	deafToPings, deafToSettings bool
	withheld                    []h2test.Frame // acknowledgements that it owes
	smaller                     int            // a window that it has not acknowledged
}

// withUploader runs a test with a uploader whose account has testLimit octets. Unless taken is true, no octet is ever taken that the
// uploader sends.
func withUploader(t *testing.T, config Config, taken bool, test func(u *uploader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account := budget.New(testLimit, nil, nil)
		u := newUploader(t, config, account, taken)
		defer u.nc.Close()
		test(u)
		u.finish()
		if n := u.peer.conn.Beyond(); n != 0 {
			t.Errorf("%d octets are left beyond what streams may hold", n)
		}
	})
}

func newUploader(t testing.TB, config Config, account *budget.Budget, taken bool) *uploader {
	u := &uploader{peer: newPeerWith(t, config, account), account: account, streams: map[uint32]int{}}
	u.app.onData = func(st *testStream, data []byte, _ bool) bool {
		st.data = st.data[:0]
		if taken && st.Consumed(len(data)) {
			st.conn.FlushAfterBatch()
		}
		return true
	}
	u.initial = u.peer.conn.config.StreamWindow
	u.credit = u.peer.conn.config.ConnWindow
	u.GreetServer()
	return u
}

// begin opens streams.
func (u *uploader) begin(ids ...uint32) {
	u.t.Helper()
	for _, id := range ids {
		u.open(id)
		u.streams[id] = u.initial
	}
}

// hear takes what has come, and answers it.
func (u *uploader) hear() {
	u.t.Helper()
	for f, ok := u.Poll(); ok; f, ok = u.Poll() {
		switch {
		case f.Type == h2test.Ping && f.Flags == 0:
			u.log = append(u.log, "PING")
			u.pings++
			u.acknowledge(f, u.deafToPings)
		case f.Type == h2test.Settings && f.Flags == 0:
			if initial := int(f.Uint32(2)); u.deafToSettings && initial < u.initial {
				u.smaller = initial
			} else {
				u.resize(initial)
			}
			u.acknowledge(f, u.deafToSettings)
		case f.Type == h2test.WindowUpdate && f.StreamID == 0:
			u.credit += int(f.Uint32(0))
		case f.Type == h2test.WindowUpdate:
			u.streams[f.StreamID] += int(f.Uint32(0))
			u.withinBounds(u.streams[f.StreamID])
		default:
			u.log = append(u.log, f.String())
		}
	}
	u.withinBounds(u.credit)
	synctest.Wait()
	u.inShare()
}

// resize applies SETTINGS_INITIAL_WINDOW_SIZE.
func (u *uploader) resize(initial int) {
	u.log = append(u.log, fmt.Sprint("window ", initial))
	for id := range u.streams {
		u.streams[id] += initial - u.initial
		u.withinBounds(u.streams[id])
	}
	u.initial = initial
}

func (u *uploader) acknowledge(f h2test.Frame, later bool) {
	f.Flags = h2test.Ack
	if f.Type == h2test.Settings {
		f.Payload = nil
	}
	if later {
		u.withheld = append(u.withheld, f)
		return
	}
	u.WriteFrame(f.Type, f.Flags, 0, f.Payload)
}

// acknowledgeAll acknowledges what was withheld.
func (u *uploader) acknowledgeAll() {
	for _, f := range u.withheld {
		u.WriteFrame(f.Type, f.Flags, 0, f.Payload)
	}
	u.withheld = nil
	if u.smaller > 0 {
		u.resize(u.smaller)
		u.smaller = 0
	}
	synctest.Wait()
}

func (u *uploader) withinBounds(window int) {
	u.t.Helper()
	if window > maxWindow {
		u.t.Errorf("a window has become %d", window)
	}
}

// inShare checks that what the peer may send, and what is held beyond what every stream may have, is within the share.
func (u *uploader) inShare() {
	u.t.Helper()
	c := u.peer.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	beyond := int64(0)
	for _, st := range c.streams.open {
		beyond += max(st.in.held-defaultWindow, 0)
	}
	if counted := c.windows.beyond.Load(); counted != beyond {
		u.t.Errorf("%d octets are counted beyond what streams may hold; there are %d", counted, beyond)
	}
	most := u.account.Limit()/4 - beyond
	if c.windows.initial <= defaultWindow {
		most = max(most, baseConnWindow)
	}
	if int64(u.credit) > most {
		u.t.Errorf("%d octets are held beyond what streams may hold, and the peer may send %d; the share is %d", beyond, u.credit, u.account.Limit()/4)
	}
}

// send sends up to n octets on a stream, and returns how many there was a window for.
func (u *uploader) send(id uint32, n int) (sent int) {
	u.t.Helper()
	n = max(min(n, u.streams[id], u.credit), 0)
	u.streams[id] -= n
	u.credit -= n
	u.sent += n
	u.Together(func() {
		for sent < n {
			chunk := min(n-sent, maxFrame)
			u.WriteData(id, false, content[:chunk])
			sent += chunk
		}
	})
	return sent
}

const maxFrame = 16384

var content = make([]byte, maxFrame)

// upload sends up to n octets in each of some round trips, on each of the streams, as far as there are windows.
func (u *uploader) upload(trips, n int, ids ...uint32) {
	u.t.Helper()
	for range trips {
		for _, id := range ids {
			u.send(id, n)
		}
		time.Sleep(testTrip)
		u.hear()
	}
}

// wantWindows checks what the peer has been told.
func (u *uploader) wantWindows(stream, conn int) {
	u.t.Helper()
	u.peer.conn.mu.Lock()
	got := int(u.peer.conn.in.window.target)
	u.peer.conn.mu.Unlock()
	if u.initial != stream || got != conn {
		u.t.Errorf("the windows are %d and %d, want %d and %d; %v", u.initial, got, stream, conn, u.log)
	}
}

// TestWindows_Grow has peers upload in ways that windows limit, and in ways that they do not.
func TestWindows_Grow(t *testing.T) {
	for _, row := range []struct {
		name         string
		config       Config
		upload       func(u *uploader)
		stream, conn int
		pings        int // at most
	}{
		{"one stream", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(14, 100*mebi, 1)
		}, testShare, testShare, 9},
		{"one stream, in its first round trip", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(1, 100*mebi, 1)
		}, 4 * 65535, mebi, 1},
		{"fifty streams share what there is", Config{}, func(u *uploader) {
			var ids []uint32
			for id := uint32(1); id < 101; id += 2 {
				ids = append(ids, id)
			}
			u.begin(ids...)
			u.upload(12, mebi, ids...)
		}, 65535 + testShare/50, testShare, 12},
		{"as large as the configuration permits", Config{MaxWindow: 200_000}, func(u *uploader) {
			u.begin(1)
			u.upload(20, 100*mebi, 1)
		}, 200_000, mebi, 20},
		{"not at all", Config{MaxWindow: -1}, func(u *uploader) {
			u.begin(1)
			u.upload(20, 100*mebi, 1)
		}, 65535, mebi, 0},
		{"less than a window in a round trip", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(200, 20_000, 1)
		}, 65535, mebi, 12},
		{"hardly anything", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(1000, 100, 1)
		}, 65535, mebi, 3},
		{"nothing", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(100, 0, 1)
		}, 65535, mebi, 0},
		{"not as fast as before", Config{}, func(u *uploader) {
			u.begin(1)
			u.upload(1, 100*mebi, 1)
			u.upload(60, 70_000, 1)
		}, 4 * 65535, mebi, 30},
	} {
		t.Run(row.name, func(t *testing.T) {
			withUploader(t, row.config, true, func(u *uploader) {
				row.upload(u)
				u.wantWindows(row.stream, row.conn)
				if u.pings > row.pings {
					u.t.Errorf("%d PINGs were sent, want %d at most", u.pings, row.pings)
				}
			})
		})
	}
}

// grown is a peer whose windows have grown as far as they do.
func (u *uploader) grown() {
	u.t.Helper()
	u.begin(1)
	u.upload(14, 100*mebi, 1)
	u.wantWindows(testShare, testShare)
	u.log = nil
}

// TestWindows_Idle has windows that have grown, and a connection on which hardly anything comes for a while.
func TestWindows_Idle(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.grown()
		time.Sleep(2 * idleAfter)
		u.hear()
		if u.initial != defaultWindow || u.streams[1] > defaultWindow {
			t.Errorf("after a while without requests, the windows are %d and %d; %v", u.initial, u.streams[1], u.log)
		}
		for u.credit > mebi { // the peer keeps what it has; then it gets no more than it had in the beginning
			before := u.credit
			u.send(1, 16_000)
			time.Sleep(10 * time.Second)
			u.hear()
			if u.credit > max(before, mebi) {
				t.Fatalf("the connection's window has become %d, from %d", u.credit, before)
			}
		}
		u.upload(24, 100*mebi, 1)
		u.wantWindows(testShare, testShare)
	})
	withUploader(t, Config{}, true, func(u *uploader) {
		u.grown()
		for range 100 {
			u.upload(1, 10_000, 1)
			time.Sleep(time.Second)
		}
		if u.initial != testShare {
			t.Errorf("while requests come, the window is %d", u.initial)
		}
	})
}

// TestWindows_Smaller has the peer be told a smaller window, with octets under way.
func TestWindows_Smaller(t *testing.T) {
	const kept = 100_000 // octets that are not taken
	for _, row := range []struct {
		name string
		then func(u *uploader)
	}{
		{"within the old one, before it is acknowledged", func(u *uploader) {
			u.deafToSettings = true
			u.hear()
			if u.send(1, 3*mebi); u.streams[1] < 0 || u.smaller == 0 {
				u.t.Errorf("the window is %d, and then %d", u.streams[1], u.smaller)
			}
			u.hear()
			u.acknowledgeAll()
			u.wantNoError()
			if got := u.peer.conn.Stream(1).Window(); got != 0 {
				u.t.Errorf("a window below zero is %d", got)
			}
		}},
		{"beyond the new one, once it is acknowledged", func(u *uploader) {
			u.hear()
			u.streams[1] = 1
			u.send(1, 1)
			u.wantRSTStream(1, ErrCodeFlowControl)
		}},
		{"an empty frame, which ends the stream", func(u *uploader) {
			u.hear()
			u.WriteData(1, true, "")
			u.wantNoError()
		}},
		{"what is expected can come", func(u *uploader) {
			st := u.peer.conn.Stream(1)
			if st.Expect(0, mebi) {
				u.t.Error("a window that is large enough has become larger")
			}
			u.hear()
			if u.streams[1] != mebi {
				u.t.Errorf("the window is %d; %d octets are expected", u.streams[1], mebi)
			}
			if u.send(1, 2*mebi); u.streams[1] != 0 {
				u.t.Errorf("the window is %d", u.streams[1])
			}
			u.wantNoError()
		}},
		{"what is expected afterwards can come", func(u *uploader) {
			u.hear()
			if st := u.peer.conn.Stream(1); !st.Expect(0, mebi) {
				u.t.Error("a window below zero is large enough for 1 MiB")
			}
			u.peer.conn.Flush()
			u.hear()
			if u.streams[1] != mebi {
				u.t.Errorf("the window is %d; %d octets are expected", u.streams[1], mebi)
			}
		}},
		{"no more than the largest window is expected", func(u *uploader) {
			u.hear()
			u.peer.conn.Stream(1).Expect(0, 1<<31-1)
			u.peer.conn.Flush()
			u.hear()
			u.wantNoError()
		}},
		{"what is taken opens the window from below zero", func(u *uploader) {
			u.hear()
			st := u.peer.conn.Stream(1)
			if u.streams[1] != defaultWindow-kept || st.Consumed(10_000) || !st.Consumed(kept-10_000) {
				u.t.Errorf("a window of %d does not open as it should", u.streams[1])
			}
			u.peer.conn.Flush()
			u.hear()
			if u.streams[1] != defaultWindow {
				u.t.Errorf("the window is %d", u.streams[1])
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withUploader(t, Config{}, true, func(u *uploader) {
				u.grown()
				consume := u.app.onData
				u.app.onData = func(*testStream, []byte, bool) bool { return true }
				u.send(1, kept)
				synctest.Wait()
				u.peer.conn.mu.Lock()
				u.peer.conn.setInitialLocked(defaultWindow)
				u.peer.conn.mu.Unlock()
				u.peer.conn.Flush()
				row.then(u)
				u.app.onData = consume
			})
		})
	}
}

// wantNoError checks that the server still serves the connection, and has reset no stream.
func (u *uploader) wantNoError() {
	u.t.Helper()
	u.log = nil
	u.hear()
	for _, f := range u.log {
		if f != "PING" {
			u.t.Errorf("got %v", f)
		}
	}
}

// TestWindows_Games has peers that try to hold more than they may: no handler takes what they send.
func TestWindows_Games(t *testing.T) {
	ids := func(n int) (all []uint32) {
		for i := range n {
			all = append(all, uint32(2*i+3))
		}
		return all
	}
	for _, row := range []struct {
		name    string
		prepare func(u *uploader) // before handlers stop taking
		play    func(u *uploader)
		streams int
	}{
		{"windows that have grown, on one stream", (*uploader).grown, func(u *uploader) { u.upload(20, 100*mebi, 3) }, 1},
		{"windows that have grown, on many streams", (*uploader).grown, func(u *uploader) { u.upload(10, mebi, ids(90)...) }, 90},
		{"one stream after another", (*uploader).grown, func(u *uploader) {
			for _, id := range ids(90) {
				u.upload(1, 100*mebi, id)
			}
		}, 90},
		{"a smaller window that is not acknowledged", (*uploader).grown, func(u *uploader) {
			u.deafToSettings = true
			u.upload(10, 5*mebi, ids(90)...)
		}, 90},
		{"a smaller window that is acknowledged late", (*uploader).grown, func(u *uploader) {
			u.deafToSettings = true
			u.upload(10, 5*mebi, ids(90)...)
			u.acknowledgeAll()
			u.upload(10, 5*mebi, ids(90)...)
		}, 90},
		{"SETTINGS acknowledged that were not sent", (*uploader).grown, func(u *uploader) {
			u.Write(repeated(1000, rawFrame(0x4, 1, 0)))
			u.upload(10, 5*mebi, ids(90)...)
		}, 90},
		{"PINGs acknowledged late, as if all had come within a round trip", func(u *uploader) { u.deafToPings = true }, func(u *uploader) {
			for range 10 {
				u.upload(10, mebi, ids(90)...)
				u.acknowledgeAll()
			}
		}, 90},
		{"PINGs acknowledged that were not sent", nil, func(u *uploader) {
			var all []byte
			for n := range uint32(10_000) {
				all = append(all, rawFrame(0x6, 1, 0, "wind", n)...)
			}
			u.Write(all)
			u.upload(10, mebi, ids(90)...)
		}, 90},
		{"small frames", (*uploader).grown, func(u *uploader) {
			for _, id := range ids(10) {
				n := max(min(50_000, u.streams[id], u.credit)/10*10, 0)
				u.streams[id] -= n
				u.credit -= n
				u.Write(repeated(n/10, rawFrame(0x0, 0, id, "0123456789")))
				u.hear()
			}
			u.upload(10, 5*mebi, ids(10)...)
		}, 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			withUploader(t, Config{}, true, func(u *uploader) {
				if row.prepare != nil {
					row.prepare(u)
				}
				u.app.onData = func(*testStream, []byte, bool) bool { return true }
				u.begin(ids(row.streams)...)
				row.play(u)
				time.Sleep(3 * stuckAfter)
				u.hear()
				row.play(u)
				u.wantHeld(row.streams)
			})
		})
	}
}

func repeated(n int, b []byte) (all []byte) {
	for range n {
		all = append(all, b...)
	}
	return all
}

// wantHeld checks that streams hold no more than all may, and the share beyond.
func (u *uploader) wantHeld(streams int) {
	u.t.Helper()
	held := int64(0)
	u.peer.conn.Streams(func(st *Stream) { held += st.in.held })
	if most := int64(streams)*defaultWindow + testShare; held > most {
		u.t.Errorf("%d octets are held, want %d at most", held, most)
	}
	u.wantNoError()
}

// TestWindows_GiveBack has handlers take late what streams hold beyond what all may. The peer is then as well off as before.
func TestWindows_GiveBack(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.grown()
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.begin(3, 5)
		u.upload(10, 100*mebi, 3, 5)
		time.Sleep(3 * stuckAfter)
		u.hear()
		if u.initial != defaultWindow || u.streams[3] > 0 && u.streams[5] > 0 {
			t.Errorf("with %d octets held, windows are %d, %d, %d", u.sent, u.initial, u.streams[3], u.streams[5])
		}
		time.Sleep(10 * idleAfter)
		u.upload(10, 100*mebi, 1)
		if u.initial != defaultWindow {
			t.Errorf("a window has grown to %d, and streams hold half of the share", u.initial)
		}
		for _, id := range []uint32{3, 5} {
			st := u.peer.conn.Stream(id)
			if st.Consumed(int(st.in.held)) {
				u.peer.conn.Flush()
			}
		}
		time.Sleep(2 * idleAfter)
		u.app.onData = func(st *testStream, data []byte, _ bool) bool {
			st.Consumed(len(data))
			st.conn.FlushAfterBatch()
			return true
		}
		u.hear()
		u.upload(20, 100*mebi, 3)
		if u.initial != defaultWindow+testShare/3 {
			t.Errorf("the window has grown to %d only", u.initial)
		}
	})
}

// TestWindows_OthersGoOn has a stream hold all of a large share, which no handler takes. After a while others go on all the same, each as
// far as every stream may.
func TestWindows_OthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUploader(t, Config{}, budget.New(4*testLimit, nil, nil), true)
		defer u.nc.Close()
		u.begin(1)
		u.upload(14, 100*mebi, 1)
		u.wantWindows(4*testShare, 4*testShare)
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.upload(10, 100*mebi, 1)
		time.Sleep(3 * stuckAfter)
		u.hear()
		for id := uint32(3); id < 200; id += 2 {
			u.begin(id)
			u.upload(3, mebi, id)
			if held := u.peer.conn.Stream(id).in.held; held != defaultWindow {
				t.Fatalf("stream %d holds %d octets; the connection's window is %d", id, held, u.credit)
			}
		}
		u.nc.Close()
		u.finish()
	})
}

// TestWindows_SlowHandler has a handler that is slower than its client, so that the window is full all the time. That is no reason for
// the window to become small: another stream gets its turn.
func TestWindows_SlowHandler(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.grown()
		taken := 0
		u.app.onData = func(st *testStream, data []byte, _ bool) bool {
			if st.id == 3 {
				taken += len(data)
			}
			return true
		}
		u.begin(3)
		for range 200 {
			u.upload(1, 100*mebi, 1)
			u.send(3, 1000)
			if st := u.peer.conn.Stream(1); st.Consumed(100_000) {
				u.peer.conn.Flush()
			}
		}
		u.hear()
		if u.initial != testShare || taken < 100*1000 {
			t.Errorf("the window is %d, and the other stream has got %d octets; %v", u.initial, taken, u.log)
		}
	})
}

// TestWindows_ExpectedComes has an account whose whole is full, and a peer that has spent all of the connection's window on requests that
// wait. What is expected on another stream can come all the same, and no more.
func TestWindows_ExpectedComes(t *testing.T) {
	const expected = 200_000
	synctest.Test(t, func(t *testing.T) {
		whole := budget.New(64*mebi, nil, nil)
		account := budget.New(testLimit, whole, nil)
		u := newUploader(t, Config{}, account, true)
		defer u.nc.Close()
		u.begin(1, 3, 5)
		u.upload(14, 100*mebi, 1)
		account.Add(budget.Requests, 64*mebi)
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.upload(14, 100*mebi, 1, 3)
		if u.initial != defaultWindow || u.credit > baseConnWindow {
			t.Fatalf("the windows are %d and %d, although the account is full", u.initial, u.credit)
		}
		for id := uint32(7); u.credit > 0 && id < 100; id += 2 {
			u.begin(id)
			u.upload(1, 100*mebi, id)
		}
		if st := u.peer.conn.Stream(5); st.Expect(10, expected) {
			u.peer.conn.Flush()
		}
		sent := 0
		for range 100 {
			sent += u.send(5, expected-sent)
			time.Sleep(testTrip)
			u.hear()
		}
		if sent != expected || u.credit > defaultWindow {
			t.Errorf("%d octets of %d could be sent; the connection's window is %d then", sent, expected, u.credit)
		}
		u.nc.Close()
		u.finish()
		account.Sub(budget.Requests, 64*mebi)
		if n := account.Used(budget.Requests); n != 0 {
			t.Errorf("%d octets are left", n)
		}
	})
}

// TestWindows_Reset ends streams that hold something beyond what all may, in all ways.
func TestWindows_Reset(t *testing.T) {
	for name, end := range map[string]func(u *uploader, st *Stream){
		"by the peer":          func(u *uploader, _ *Stream) { u.WriteFrame(0x3, 0, 3, 8) },
		"by the server":        func(_ *uploader, st *Stream) { st.Reset(ErrCodeCancel) },
		"by an early response": func(_ *uploader, st *Stream) { st.End(okTrailers, true) },
		"by a late response":   func(u *uploader, st *Stream) { u.WriteData(3, true, ""); synctest.Wait(); st.End(okTrailers, true) },
		"once its octets are taken, which come to an end": func(u *uploader, st *Stream) {
			u.WriteData(3, true, "")
			synctest.Wait()
			st.Consumed(2 * mebi)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withUploader(t, Config{}, true, func(u *uploader) {
				u.grown()
				u.app.onData = func(*testStream, []byte, bool) bool { return true }
				u.begin(3)
				u.upload(1, 2*mebi, 3)
				if held := u.peer.conn.Beyond(); held != 2*mebi-defaultWindow {
					t.Fatalf("%d octets are held beyond what streams may hold", held)
				}
				end(u, u.peer.conn.Stream(3))
				synctest.Wait()
				if held := u.peer.conn.Beyond(); held != 0 {
					t.Errorf("%d octets are held beyond what streams may hold", held)
				}
			})
		})
	}
}

// TestWindows_Unacknowledged has a peer that acknowledges no SETTINGS at all. It gets no others.
func TestWindows_Unacknowledged(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.peer.conn.mu.Lock()
		u.peer.conn.windows.unacked = true // as if it had not acknowledged the first
		u.peer.conn.mu.Unlock()
		u.begin(1)
		u.upload(20, 100*mebi, 1)
		if u.initial != defaultWindow {
			t.Errorf("it was told a window of %d", u.initial)
		}
	})
}

// TestWindows_LargestStays has a stream whose window is as large as there can be. No other becomes larger then, which would make
// it larger still (RFC 9113, Section 6.9.2).
func TestWindows_LargestStays(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.begin(1, 3)
		u.peer.conn.Stream(3).Expect(1, 1<<31-1)
		u.peer.conn.Flush()
		u.hear()
		u.upload(20, 100*mebi, 1)
		if u.initial != defaultWindow {
			t.Errorf("it was told a window of %d, and that of stream 3 is %d", u.initial, u.streams[3])
		}
	})
}

// TestWindows_Fixed has a configuration with larger windows. They neither grow nor become smaller, unless handlers leave too much.
func TestWindows_Fixed(t *testing.T) {
	withUploader(t, Config{StreamWindow: mebi, ConnWindow: 2 * mebi, MaxWindow: -1}, true, func(u *uploader) {
		u.begin(1, 3, 5, 7)
		u.upload(20, 100*mebi, 1)
		time.Sleep(10 * idleAfter)
		u.hear()
		u.wantWindows(mebi, 2*mebi)
		take := u.app.onData
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.upload(10, 100*mebi, 3, 5, 7)
		time.Sleep(3 * stuckAfter)
		u.hear()
		u.wantWindows(defaultWindow, 2*mebi)
		u.app.onData = take
		for id := uint32(3); id < 8; id += 2 {
			st := u.peer.conn.Stream(id)
			st.Consumed(int(st.in.held))
		}
		u.peer.conn.Flush()
		time.Sleep(2 * idleAfter)
		u.hear()
		u.wantWindows(mebi, 2*mebi)
		if u.pings > 0 {
			t.Errorf("%d PINGs were sent", u.pings)
		}
	})
}

// TestWindows_LargestStaysSmall has windows become small, and a stream's window become the largest that there may be. The windows of
// streams stay small then, until that stream is gone: its window would be beyond what RFC 9113, Section 6.9.1 permits.
func TestWindows_LargestStaysSmall(t *testing.T) {
	withUploader(t, Config{StreamWindow: mebi, ConnWindow: 2 * mebi, MaxWindow: -1}, true, func(u *uploader) {
		u.begin(1, 3, 5, 7)
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.upload(10, 100*mebi, 3, 5, 7)
		time.Sleep(3 * stuckAfter)
		u.hear()
		u.wantWindows(defaultWindow, 2*mebi)
		for id := uint32(3); id < 8; id += 2 {
			st := u.peer.conn.Stream(id)
			st.Consumed(int(st.in.held))
		}
		u.peer.conn.Stream(3).Expect(1, 1<<31-1)
		u.peer.conn.Flush()
		u.hear()
		time.Sleep(2 * idleAfter)
		u.hear()
		if u.initial != defaultWindow || u.streams[3] != 1<<31-1 {
			t.Errorf("it was told a window of %d, and that of stream 3 is %d", u.initial, u.streams[3])
		}
		u.peer.conn.Stream(3).Reset(ErrCodeCancel)
		u.peer.conn.Flush()
		u.hear()
		delete(u.streams, 3)
		time.Sleep(2 * idleAfter)
		u.hear()
		u.wantWindows(mebi, 2*mebi)
	})
}

// TestWindows_ShutDown has a client upload while its connection is shut down. It is asked for no acknowledgement but that of the
// shutdown's PING: neither of PINGs nor of SETTINGS, whether windows could grow or, after a while, become small.
func TestWindows_ShutDown(t *testing.T) {
	for trips := range 14 {
		withUploader(t, Config{}, true, func(u *uploader) {
			u.begin(1)
			u.upload(trips, 100*mebi, 1)
			u.peer.conn.Shutdown()
			u.upload(3, 100*mebi, 1) // what was on its way is acknowledged
			u.log, u.pings = nil, 0
			u.upload(14, 100*mebi, 1)
			time.Sleep(3 * idleAfter)
			u.hear()
			if len(u.log) > 0 {
				t.Errorf("after %d round trips: %v", trips, u.log)
			}
		})
	}
}

// TestWindows_OfWhole has connections that are parts of an account. Together they get no more beyond what every connection has than
// an eighth of it; and one that has used what it had, and ends, gives that back.
func TestWindows_OfWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := budget.New(32*mebi, nil, nil)
		var all []*uploader
		sum := 0
		for range 4 {
			u := newUploader(t, Config{}, budget.New(testLimit, whole, nil), true)
			u.begin(1)
			u.upload(20, 100*mebi, 1)
			u.peer.conn.mu.Lock()
			sum += int(u.peer.conn.in.window.target) - mebi
			u.peer.conn.mu.Unlock()
			all = append(all, u)
		}
		if sum != 4*mebi {
			t.Errorf("the connections' windows have grown by %d", sum)
		}
		for _, u := range all {
			u.nc.Close()
			u.finish()
		}
		u := newUploader(t, Config{}, budget.New(testLimit, whole, nil), true)
		u.begin(1)
		u.upload(20, 100*mebi, 1)
		u.wantWindows(testShare, testShare)
		u.nc.Close()
		u.finish()
	})
}

// TestConn_OwedIsNotGiven has a peer that sends more than it was given of the connection's window, though no more than it is owed.
func TestConn_OwedIsNotGiven(t *testing.T) {
	withUploader(t, Config{}, true, func(u *uploader) {
		u.grown()
		u.app.onData = func(*testStream, []byte, bool) bool { return true }
		u.deafToSettings = true
		u.begin(3, 5)
		u.upload(20, 100*mebi, 3)
		u.upload(3, 100*mebi, 5)
		if u.credit >= maxFrame {
			t.Fatalf("the connection's window is %d", u.credit)
		}
		u.WriteData(5, false, make([]byte, u.credit+1))
		if _, debug := u.wantGoAway(ErrCodeFlowControl); debug == "" {
			t.Error("GOAWAY does not say why")
		}
	})
}

// TestClient_WindowsGrow has a client receive a large response. Each PING has DATA before it that was sent after the last one was
// acknowledged: servers that limit PINGs do not count those (gRPC's keepalive document, A8).
func TestClient_WindowsGrow(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		c.call("please")
		p.WantHeaders(1, false)
		p.WantData(1, false, "please")
		p.WantData(1, true, "")
		p.WriteHeaders(1, false, ":status", "200")
		stream, conn, initial := defaultWindow, mebi, defaultWindow
		pings, strikes, data := 0, 2, false
		for range 20 {
			for f, ok := p.Poll(); ok; f, ok = p.Poll() {
				switch {
				case f.Type == h2test.Ping:
					if pings++; !data {
						strikes--
					}
					data = false
					p.WriteFrame(h2test.Ping, h2test.Ack, 0, f.Payload)
				case f.Type == h2test.Settings && f.Flags == 0:
					stream += int(f.Uint32(2)) - initial
					initial = int(f.Uint32(2))
					p.WriteFrame(h2test.Settings, h2test.Ack, 0)
				case f.Type == h2test.WindowUpdate && f.StreamID == 0:
					conn += int(f.Uint32(0))
				case f.Type == h2test.WindowUpdate:
					stream += int(f.Uint32(0))
				}
			}
			n := min(stream, conn)
			stream, conn, data = stream-n, conn-n, data || n > 0
			p.Together(func() {
				for ; n > 0; n -= min(n, maxFrame) {
					p.WriteData(1, false, content[:min(n, maxFrame)])
				}
			})
			time.Sleep(testTrip)
		}
		if initial != 16*mebi || pings == 0 || strikes < 2 {
			t.Errorf("the window is %d after %d PINGs, of which %d came without DATA", initial, pings, 2-strikes)
		}
	})
}
