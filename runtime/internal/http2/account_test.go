package http2

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// withAccount is withPeer for a connection whose account has a limit.
func withAccount(t *testing.T, config Config, limit int64, test func(p *peer, account *budget.Budget)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account := budget.New(limit, nil, nil)
		p := newPeerWith(t, config, account)
		defer p.nc.Close()
		test(p, account)
		p.finish()
	})
}

// TestConn_RefusesWhatItCannotHold has more held for a peer than it may have. Its requests are refused, as often as it tries:
// what is held is not its mistake, as far as can be told.
func TestConn_RefusesWhatItCannotHold(t *testing.T) {
	const limit = 1 << 20
	withAccount(t, Config{}, limit, func(p *peer, account *budget.Budget) {
		p.GreetServer()
		account.Add(budget.Requests, limit)
		account.Add(budget.Responses, limit/4)
		id := uint32(1)
		for range 3000 {
			p.WriteFrame(0x1, 0x5, id, okBlock)
			p.wantRSTStream(id, ErrCodeRefusedStream)
			id += 2
		}
		if n := len(p.app.refused); n != 3000 {
			p.t.Errorf("the application was told of %d refusals", n)
		}
		account.Sub(budget.Responses, limit/4)
		account.Sub(budget.Requests, limit)
		p.wantServed(id)
	})
}

// TestConn_OwesNoMoreThanItTook sends content through a small window. What is given back in all is what has come.
func TestConn_OwesNoMoreThanItTook(t *testing.T) {
	withPeer(t, Config{ConnWindow: 65535}, func(p *peer) {
		p.GreetServer()
		p.open(1)
		sent, given := 0, 0
		for range 100 {
			p.WriteData(1, false, make([]byte, 10_000))
			sent += 10_000
			for f, ok := p.Poll(); ok; f, ok = p.Poll() {
				if f.Type == h2test.WindowUpdate && f.StreamID == 0 {
					given += int(binary.BigEndian.Uint32(f.Payload))
				}
			}
			if given > sent || sent-given > 65535 {
				p.t.Fatalf("%d octets were sent, and %d given back", sent, given)
			}
		}
	})
}

// TestConn_StuckAgain has a peer whose responses fill its account take a little of them, and then nothing more.
func TestConn_StuckAgain(t *testing.T) {
	const limit = 1 << 20
	config := Config{WriteTimeout: 30 * time.Second}
	withAccount(t, config, limit, func(p *peer, _ *budget.Budget) {
		p.GreetServer()
		st := p.open(1)
		st.Write(outgoing{Headers: okHeaders, Data: make([]byte, limit)})
		p.conn.Flush()
		taken := func() (frames int) {
			for _, ok := p.Poll(); ok; _, ok = p.Poll() {
				frames++
			}
			return frames
		}
		taken()
		for range 3 {
			time.Sleep(config.WriteTimeout / 2)
			p.WriteWindowUpdate(0, 1000)
			p.WriteWindowUpdate(1, 1000)
			if n := taken(); n != 1 {
				p.t.Fatalf("%d frames have come into a window of 1,000 octets", n)
			}
		}
		if p.stopped.Load() {
			p.t.Fatal("the connection has ended although its peer takes something")
		}
		time.Sleep(2 * config.WriteTimeout)
		p.wantEventually(func(f h2test.Frame) bool { return f.Type == h2test.GoAway && codeOf(f) == ErrCodeEnhanceYourCalm })
		p.wantClosed()
	})
}

// TestConn_HoldsNothingAtItsEnd has field blocks that need no window wait for a peer, which then reads them or goes.
func TestConn_HoldsNothingAtItsEnd(t *testing.T) {
	for name, reads := range map[string]bool{"PeerReads": true, "PeerGoes": false} {
		t.Run(name, func(t *testing.T) {
			withAccount(t, Config{}, 64<<20, func(p *peer, account *budget.Budget) {
				p.GreetServer()
				large := fields.AppendField(fields.AppendStatus(nil, 200), "large", strings.Repeat("v", 200<<10))
				p.app.onRequest = func(st *testStream, _ bool) bool {
					st.write(outgoing{Headers: large, Finish: true})
					return true
				}
				p.nc.Limit(1000)
				const requests = 5
				var all []byte
				for i := range requests {
					all = append(all, rawFrame(0x1, 0x5, uint32(2*i+1), okBlock)...)
				}
				p.Write(all)
				synctest.Wait()
				if held := account.Used(budget.Responses); held < requests*200<<10/2 {
					p.t.Errorf("%d octets are counted while %d field blocks of 200 KiB wait", held, requests)
				}
				if !reads {
					p.nc.Close()
					synctest.Wait()
				} else {
					p.nc.Limit(-1)
					for range requests {
						p.wantEventually(func(f h2test.Frame) bool { return f.Type == h2test.Continuation && f.Flags&0x4 != 0 })
					}
					synctest.Wait()
				}
				if held := account.Used(budget.Responses); held != 0 {
					p.t.Errorf("%d octets are left", held)
				}
			})
		})
	}
}

// TestBacklog_CountsItsMemory adds data of all sizes and takes it out again: what it costs is the memory behind it.
func TestBacklog_CountsItsMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b backlog
	for range 10_000 {
		if b.size > 0 && r.IntN(2) == 0 {
			b.advance(1 + r.IntN(len(b.next())))
		} else {
			data := make([]byte, 1+r.IntN(3*ownChunk), 4*ownChunk)
			b.add(data, data[r.IntN(len(data)):])
		}
		size, cost := 0, int64(0)
		for _, c := range b.chunks {
			size += len(c.rest)
			cost += int64(cap(c.memory))
		}
		if b.size != size || b.cost != cost {
			t.Fatalf("%d octets are counted and %d of memory, and there are %d and %d", b.size, b.cost, size, cost)
		}
	}
	b.clear()
	if b.size != 0 || b.cost != 0 {
		t.Errorf("left: %d octets, %d of memory", b.size, b.cost)
	}
}
