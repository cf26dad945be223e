package http2

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// What is permitted to the last octet, and no more.
func TestConn_HoldsItsBounds(t *testing.T) {
	const most = 1<<31 - 1
	served := func(p *peer) { p.wantReply(1, ""); ignored(p) }
	runOffences(t, []offence{
		{name: "window of a stream one over 2^31-1", send: onOpen(rawFrame(0x8, 0, 1, most-65535+1)), want: streamError(ErrCodeFlowControl)},
		{name: "two content-lengths, of which the last would do", send: fieldLines(request("content-length", "3", "content-length", "0")...), want: malformed},
		{name: "two content-lengths that are the same", send: fieldLines(request("content-length", "0", "content-length", "0")...), want: served},
	})
}

// Floods that cost a token each of a bucket which other frames share.
func TestConn_WithstandsFloods_OfOneToken(t *testing.T) {
	reset := func(p *peer) { p.open(1).Reset(ErrCodeCancel) }
	runOnce(t, []offence{
		{
			name: "HEADERS without content on a stream that was reset",
			send: after(reset, repeat(15_000, rawFrame(0x1, 0, 1), rawFrame(0x9, 0x4, 1))), want: calmed,
		},
		{
			name: "PING where any interval is permitted", config: Config{MinPingInterval: -1},
			send: repeat(3000, rawFrame(0x6, 0, 0, "12345678")), want: calmed,
		},
	})
}

// TestSendQueue_Remove takes streams out of the queue anywhere. Those behind must not get lost, nor those that come later.
func TestSendQueue_Remove(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var q sendQueue
		var want []*sender
		for range 50 {
			switch at := r.IntN(len(want) + 3); {
			case at < len(want):
				q.remove(want[at])
				want = slices.Delete(want, at, at+1)
			case at == len(want) && len(want) > 0:
				if got := q.pop(); got != want[0] {
					t.Fatal("another stream is first")
				}
				want = want[1:]
			default:
				st := &sender{}
				q.push(st)
				want = append(want, st)
			}
			var got []*sender
			for st := q.head; st != nil; st = st.next {
				got = append(got, st)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d streams are in the queue, or in another order than they came: want %d", len(got), len(want))
			}
		}
	}
}

// TestConn_StopsReading_WhenFieldBlocksWait has responses with large field blocks, which need no window, and a peer that
// reads none of them.
func TestConn_StopsReading_WhenFieldBlocksWait(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		large := fields.AppendField(fields.AppendStatus(nil, 200), "large", strings.Repeat("v", 100<<10))
		p.app.onRequest = func(st *testStream, _ bool) bool {
			st.write(outgoing{Headers: large, Finish: true})
			return true
		}
		p.nc.Limit(1000)
		const requests = 500
		for i := range requests {
			p.WriteFrame(0x1, 0x5, uint32(2*i+1), okBlock)
			synctest.Wait() // each is a batch of its own
		}
		if n := len(p.app.all); n == 0 || n > requests/10 {
			p.t.Errorf("%d of %d requests were read whose responses nobody reads", n, requests)
		}
	})
}

// TestConn_EndDoesNotWait has a peer that reads nothing: an end is not to wait for it longer than lingerTime.
func TestConn_EndDoesNotWait(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"End":                func(p *peer) { p.conn.End(ErrCodeNo, "") },
		"a connection error": func(p *peer) { p.WriteData(0, false, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.stopsReading()
				began := time.Now()
				end(p)
				for !p.stopped.Load() && time.Since(began) <= endTime {
					time.Sleep(lingerTime / 10)
				}
				if took := time.Since(began); took > 2*lingerTime {
					t.Errorf("the end has taken %v", took)
				}
			})
		})
	}
}

// TestUpkeep_MaxAgeVaries makes many connections at once: they must not all come back at once.
func TestUpkeep_MaxAgeVaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const age, n = time.Hour, 1000
		tenths := make(map[int]int) // connections, by when they end: of the time between 0.9 and 1.1
		for range n {
			u := newUpkeep(Config{MaxAge: age}.WithDefaults())
			at := float64(time.Until(u.ageEnd.Time())) / float64(age)
			if at < 0.9 || at >= 1.1 {
				t.Fatalf("a connection lives for %.2f times MaxAge", at)
			}
			tenths[int((at-0.9)/0.02)]++
		}
		for i := range 10 {
			if tenths[i] < n/30 || tenths[i] > n/5 {
				t.Error(fmt.Sprint("connections do not end evenly: ", tenths))
				break
			}
		}
	})
}

// TestConn_GoAwayCostsNothing has a client send GOAWAY with much debug data, which a server has no use for.
func TestConn_GoAwayCostsNothing(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := NewConn(a, newTestApp(), Config{}.WithDefaults(), budget.New(-1, nil, nil))
	c.in.preface = prefaceDone
	f := frame{kind: frameGoAway, payload: make([]byte, minMaxFrameSize)}
	if n := testing.AllocsPerRun(100, func() { c.processFrame(f) }); n > 0 {
		t.Errorf("a GOAWAY frame costs %v allocations", n)
	}
}
