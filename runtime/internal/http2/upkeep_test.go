package http2

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// sleepQuietly lets time pass during which nothing may come but a PING of the server's, which is not answered.
func (p *peer) sleepQuietly(d time.Duration) {
	p.t.Helper()
	time.Sleep(d)
	p.WantNothing()
}

// wantEndedBy checks that the connection is closed at once, and why.
func (p *peer) wantEndedBy(want error) {
	p.t.Helper()
	p.wantClosed()
	if !errors.Is(p.stop, want) {
		p.t.Errorf("Serve returned %v, want %v", p.stop, want)
	}
}

func TestConn_Keepalive(t *testing.T) {
	quick := Config{KeepaliveTime: time.Minute, KeepaliveTimeout: 10 * time.Second}
	for _, row := range []struct {
		name   string
		config Config
		test   func(p *peer)
	}{
		{"a silent peer is asked after two hours, and gone 20 s later", Config{}, func(p *peer) {
			p.sleepQuietly(2*time.Hour - 1)
			time.Sleep(time.Nanosecond)
			p.Want(h2test.Ping)
			p.sleepQuietly(20*time.Second - 1)
			time.Sleep(time.Nanosecond)
			p.wantEndedBy(errKeepalive)
		}},
		{"streams end with their connection", quick, func(p *peer) {
			st := p.open(1)
			time.Sleep(time.Minute)
			p.Want(h2test.Ping)
			time.Sleep(10 * time.Second)
			p.wantEndedBy(errKeepalive)
			if err := st.closedBy(p.t); !errors.Is(err, ErrConnClosed) {
				p.t.Errorf("the stream was closed by %v", err)
			}
		}},
		{"a peer that answers is asked again", quick, func(p *peer) {
			for range 100 {
				time.Sleep(time.Minute)
				p.WriteFrame(0x6, flagAck, 0, p.Want(h2test.Ping).Payload)
				p.WantNothing()
			}
			p.wantServed(1)
		}},
		{"anything that comes is an answer", quick, func(p *peer) {
			time.Sleep(time.Minute)
			p.Want(h2test.Ping)
			time.Sleep(9 * time.Second)
			p.WriteWindowUpdate(0, 1)
			p.sleepQuietly(time.Minute - 1)
			time.Sleep(time.Nanosecond)
			p.Want(h2test.Ping)
		}},
		{"a peer that is heard is not asked", quick, func(p *peer) {
			for range 100 {
				p.sleepQuietly(time.Minute - 1)
				p.WriteWindowUpdate(0, 1)
			}
		}},
		{"never", Config{KeepaliveTime: -1}, func(p *peer) { p.sleepQuietly(10 * 365 * 24 * time.Hour) }},
		{"while the connection is shut down", quick, func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.WriteFrame(0x6, flagAck, 0, p.wantShutdown())
			p.wantSecondGoAway(1)
			time.Sleep(time.Minute)
			p.Want(h2test.Ping)
			time.Sleep(10 * time.Second)
			p.wantClosed()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, row.config, func(p *peer) {
				p.GreetServer()
				row.test(p)
			})
		})
	}
}

// The reader is not to take its own absence for the peer's: after SIGSTOP and SIGCONT the answer may be there.
func TestConn_Keepalive_AfterSuspension(t *testing.T) {
	pipe, _ := h2test.NewPipe()
	c := NewConn(pipe, newTestApp(), Config{}.WithDefaults(), budget.New(-1, nil, nil))
	c.in.preface = prefaceDone
	now := clock.Now()
	c.in.upkeep.lastRead = now.Add(-3 * time.Hour)
	c.in.upkeep.pinged = now.Add(-c.config.KeepaliveTimeout - 15*time.Second)
	if err := c.onReadError(os.ErrDeadlineExceeded); err != nil || c.in.upkeep.pinged.Before(now) {
		t.Errorf("onReadError, 15 s late, returned %v", err)
	}
	c.in.upkeep.pinged = now.Add(-c.config.KeepaliveTimeout)
	if err := c.onReadError(os.ErrDeadlineExceeded); !errors.Is(err, errKeepalive) {
		t.Errorf("onReadError, in time, returned %v", err)
	}
}

func TestConn_PermitsPings(t *testing.T) {
	for _, row := range []struct {
		name     string
		config   Config
		stream   bool          // one is open
		interval time.Duration // between PINGs
		strikes  bool          // they are too many
	}{
		{"by default, with a stream", Config{}, true, 5 * time.Minute, false},
		{"by default, with a stream, too early", Config{}, true, 5*time.Minute - 1, true},
		{"by default, without streams", Config{KeepaliveTime: -1}, false, 2 * time.Hour, false},
		{"by default, without streams, too early", Config{KeepaliveTime: -1}, false, 2*time.Hour - 1, true},
		{"an interval", Config{MinPingInterval: time.Second}, true, time.Second, false},
		{"an interval, too early", Config{MinPingInterval: time.Second}, true, time.Second - 1, true},
		{"without streams", Config{PingsWithoutStreams: true}, false, 5 * time.Minute, false},
		{"without streams, too early", Config{PingsWithoutStreams: true}, false, 5*time.Minute - 1, true},
		{"any interval", Config{MinPingInterval: -1}, false, time.Second, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, row.config, func(p *peer) {
				p.GreetServer()
				if row.stream {
					p.open(1)
				}
				for i := range 10 {
					p.WriteFrame(0x6, 0, 0, "keepaliv")
					p.Want(h2test.Ping)
					if row.strikes && i == 3 {
						if _, debug := p.wantGoAway(ErrCodeEnhanceYourCalm); debug != "too_many_pings" {
							t.Errorf("the debug data is %q", debug)
						}
						return
					}
					time.Sleep(row.interval)
				}
				p.WantNothing()
			})
		})
	}
}

// An answer makes good for the PINGs before it, with or without content.
func TestConn_PermitsPings_AfterAnswers(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		for id := uint32(1); id < 100; id += 2 {
			for range 3 { // the first is caused by the answer, two are strikes
				p.WriteFrame(0x6, 0, 0, "keepaliv")
				p.Want(h2test.Ping)
			}
			p.WriteHeaders(id, true, request()...)
			p.wantReply(id, "")
		}
	})
}

func TestConn_EndsWhenIdle(t *testing.T) {
	config := Config{MaxIdle: time.Minute}
	for _, row := range []struct {
		name string
		test func(p *peer)
	}{
		{"from the beginning", func(p *peer) { p.sleepQuietly(time.Minute - 1) }},
		{"from the last stream's end", func(p *peer) {
			p.open(1)
			p.sleepQuietly(time.Hour)
			p.WriteData(1, true, "abc")
			p.wantReply(1, "abc")
			p.sleepQuietly(time.Minute - 1)
		}},
		{"frames that open no stream do not count", func(p *peer) {
			for range 59 {
				p.sleepQuietly(time.Second)
				p.WriteWindowUpdate(0, 1)
			}
			p.sleepQuietly(time.Second - 1)
		}},
		{"streams do, however short", func(p *peer) {
			for id := uint32(1); id < 200; id += 2 {
				p.sleepQuietly(time.Minute - 1)
				p.WriteHeaders(id, true, request()...)
				p.wantReply(id, "")
			}
			p.sleepQuietly(time.Minute - 1)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, config, func(p *peer) {
				p.GreetServer()
				row.test(p)
				time.Sleep(time.Nanosecond)
				p.wantReasonedShutdown("max_idle")
				p.wantGoodEnd()
			})
		})
	}
}

// wantReasonedShutdown takes a whole shutdown, which may take two minutes to come, and answers its PING.
func (p *peer) wantReasonedShutdown(reason string) {
	p.t.Helper()
	f, ok := p.Poll()
	for deadline := time.Now().Add(2 * time.Minute); !ok && time.Now().Before(deadline); f, ok = p.Poll() {
		time.Sleep(time.Second)
	}
	if f.Type != h2test.GoAway || string(f.Payload) != "\x7f\xff\xff\xff\x00\x00\x00\x00"+reason {
		p.t.Fatalf("got %v, want GOAWAY of the highest stream, with the reason %q", f, reason)
	}
	p.WriteFrame(0x6, flagAck, 0, p.Want(h2test.Ping).Payload)
	p.wantGoAway(ErrCodeNo)
}

func TestConn_EndsWhenOld(t *testing.T) {
	age := 9 * time.Minute // less a tenth; and not before
	config := Config{MaxAge: 10 * time.Minute, MaxAgeGrace: time.Minute}
	for _, row := range []struct {
		name string
		test func(p *peer)
	}{
		{"without streams", func(p *peer) {
			p.sleepQuietly(age - 1)
			p.wantReasonedShutdown("max_age")
			p.wantGoodEnd()
		}},
		{"whatever it does", func(p *peer) {
			for id := uint32(1); id < 2*540; id += 2 { // once a second
				p.wantServed(id)
				time.Sleep(time.Second)
			}
			p.wantReasonedShutdown("max_age")
			p.wantGoodEnd()
		}},
		{"streams have the grace to finish", func(p *peer) {
			p.open(1)
			p.sleepQuietly(age - 1)
			p.wantReasonedShutdown("max_age")
			p.WriteData(1, true, "abc")
			p.wantReply(1, "abc")
			p.wantGoodEnd()
		}},
		{"and no more", func(p *peer) {
			st := p.open(1)
			p.sleepQuietly(age - 1)
			p.wantReasonedShutdown("max_age")
			time.Sleep(time.Minute)
			if _, debug := p.wantGoAway(ErrCodeNo); debug != "max_age" {
				p.t.Errorf("the last GOAWAY has the reason %q", debug)
			}
			p.wantGoodEnd()
			if err := st.closedBy(p.t); !errors.Is(err, ErrConnClosed) {
				p.t.Errorf("the stream was closed by %v", err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, config, func(p *peer) {
				p.GreetServer()
				row.test(p)
			})
		})
	}
}

// A field block that does not end holds nothing up for longer than the setup may take.
func TestConn_BoundsTheTimeOfAFieldBlock(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		st := p.open(1)
		block := p.Block(request()...)
		p.WriteFrame(0x1, 0, 3, block[:1])
		time.Sleep(9 * time.Second)
		p.WriteFrame(0x9, flagEndHeaders, 3, block[1:])
		p.sleepQuietly(time.Minute) // in time
		p.WriteData(3, true, "abc")
		p.wantReply(3, "abc")

		p.WriteFrame(0x1, 0, 5, block[:1])
		for range 9 {
			p.sleepQuietly(time.Second)
			p.WriteFrame(0x9, 0, 5)
		}
		p.sleepQuietly(time.Second - 1)
		time.Sleep(time.Nanosecond)
		p.wantGoAway(ErrCodeEnhanceYourCalm)
		p.wantClosed()
		if err := st.closedBy(p.t); !errors.Is(err, ErrConnClosed) {
			t.Errorf("the other stream was closed by %v", err)
		}
	})
}
