package http2

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// wantShutdown takes the first GOAWAY of a shutdown and returns its PING.
func (p *peer) wantShutdown() (ping []byte) {
	p.t.Helper()
	if last, _ := p.wantGoAway(ErrCodeNo); last != 1<<31-1 {
		p.t.Fatalf("the first GOAWAY names stream %d", last)
	}
	return p.Want(h2test.Ping).Payload
}

func (p *peer) wantSecondGoAway(last uint32) {
	p.t.Helper()
	if got, _ := p.wantGoAway(ErrCodeNo); got != last {
		p.t.Fatalf("the second GOAWAY names stream %d, want %d", got, last)
	}
}

// wantGoodEnd checks that the connection closes in good order.
func (p *peer) wantGoodEnd() {
	p.t.Helper()
	p.wantClosed()
	if p.stop != nil {
		p.t.Errorf("Serve returned %v", p.stop)
	}
}

func TestConn_Shutdown(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(p *peer)
	}{
		{"without streams", func(p *peer) {
			p.conn.Shutdown()
			p.WriteFrame(0x6, 1, 0, p.wantShutdown())
			p.wantSecondGoAway(0)
			p.wantGoodEnd()
		}},
		{"twice", func(p *peer) {
			p.conn.Shutdown()
			p.conn.Shutdown()
			ping := p.wantShutdown()
			p.WantNothing()
			p.WriteFrame(0x6, 1, 0, ping)
			p.WriteFrame(0x6, 1, 0, ping)
			p.wantSecondGoAway(0)
			p.wantGoodEnd()
		}},
		{"of a peer that answers no PING", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.wantShutdown()
			time.Sleep(shutdownPingTime - 1)
			p.WantNothing()
			time.Sleep(time.Nanosecond)
			p.wantSecondGoAway(1)
			p.WriteData(1, true, "abc")
			p.wantReply(1, "abc")
			p.wantGoodEnd()
		}},
		{"PING with other data", func(p *peer) {
			p.conn.Shutdown()
			p.wantShutdown()
			p.WriteFrame(0x6, 1, 0, "12345678")
			p.WantNothing()
		}},
		{"streams under way finish, streams between the GOAWAYs are served, later ones ignored", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			ping := p.wantShutdown()
			p.open(3)
			p.WriteFrame(0x6, 1, 0, ping)
			p.wantSecondGoAway(3)
			p.WriteHeaders(5, false, request("late", "5")...)
			p.WriteData(5, false, "ignored")
			p.WriteWindowUpdate(5, 1)
			p.WriteHeaders(5, true, "trailer", "x")
			p.WriteHeaders(7, true, request("late", "7")...)
			p.WriteFrame(0x3, 0, 7, h2test.Cancel)
			p.WantNothing()
			if p.app.streams[5] != nil || p.app.streams[7] != nil {
				p.t.Error("a stream beyond the last one has reached the application")
			}
			p.WriteData(1, true, "one")
			p.wantReply(1, "one")
			p.WriteHeaders(3, true, "late", "5") // in the table by now: HPACK has been kept in step
			p.wantReply(3, "")
			p.wantGoodEnd()
		}},
		{"the last stream is reset by the peer", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.WriteFrame(0x6, 1, 0, p.wantShutdown())
			p.wantSecondGoAway(1)
			p.WriteFrame(0x3, 0, 1, h2test.Cancel)
			p.wantGoodEnd()
		}},
		{"the last stream ends by a stream error", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.WriteFrame(0x6, 1, 0, p.wantShutdown())
			p.wantSecondGoAway(1)
			p.WriteWindowUpdate(1, 0)
			p.wantRSTStream(1, ErrCodeProtocol)
			p.wantGoodEnd()
		}},
		{"the last stream is reset by the application", func(p *peer) {
			st := p.open(1)
			p.conn.Shutdown()
			p.WriteFrame(0x6, 1, 0, p.wantShutdown())
			p.wantSecondGoAway(1)
			st.Reset(ErrCodeInternal)
			p.conn.Flush()
			p.wantRSTStream(1, ErrCodeInternal)
			p.wantGoodEnd()
		}},
		{"the last response waits for windows", func(p *peer) {
			p.WriteSettings(4, 2)
			p.Want(h2test.Settings)
			p.open(1)
			p.WriteData(1, true, "abcde")
			p.WantHeaders(1, false)
			p.WantData(1, false, "ab")
			p.conn.Shutdown()
			p.WriteFrame(0x6, 1, 0, p.wantShutdown())
			p.wantSecondGoAway(1)
			time.Sleep(time.Hour)
			p.WriteWindowUpdate(1, 10)
			p.WantData(1, false, "cde")
			p.WantHeaders(1, true)
			p.wantGoodEnd()
		}},
		{"a stream that is being opened meanwhile is served", func(p *peer) {
			p.app.accept = func(*fields.Section) bool {
				p.conn.Shutdown()
				p.conn.sendFinalGoAway()
				return true
			}
			p.WriteHeaders(1, true, request()...)
			p.wantShutdown()
			p.wantSecondGoAway(1)
			p.wantReply(1, "")
			p.wantGoodEnd()
		}},
		{"a stream that is being refused meanwhile ends it", func(p *peer) {
			p.app.accept = func(*fields.Section) bool {
				p.conn.Shutdown()
				p.conn.sendFinalGoAway()
				return false
			}
			p.WriteHeaders(1, true, request()...)
			p.wantShutdown()
			p.wantSecondGoAway(1)
			p.wantRSTStream(1, ErrCodeRefusedStream)
			p.wantGoodEnd()
		}},
		{"then a connection error", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.wantShutdown()
			p.WriteData(0, false, "x")
			p.wantGoAway(ErrCodeProtocol)
			p.wantClosed()
		}},
		{"then End", func(p *peer) {
			st := p.open(1)
			p.conn.Shutdown()
			p.wantShutdown()
			p.conn.End(ErrCodeNo, "time is up")
			if last, debug := p.wantGoAway(ErrCodeNo); last != 1 || debug != "time is up" {
				p.t.Errorf("GOAWAY names stream %d and says %q", last, debug)
			}
			p.wantGoodEnd()
			if err := st.closedBy(p.t); err != ErrConnClosed {
				p.t.Errorf("the application was told %v", err)
			}
		}},
		{"the peer hangs up", func(p *peer) {
			p.open(1)
			p.conn.Shutdown()
			p.wantShutdown()
			p.nc.Close()
			synctest.Wait()
			if !p.stopped.Load() {
				p.t.Error("still open")
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer()
				row.test(p)
			})
		})
	}
}

func TestConn_End(t *testing.T) {
	t.Run("delivers what has been written, then GOAWAY", func(t *testing.T) {
		withPeer(t, Config{}, func(p *peer) {
			p.GreetServer()
			st := p.open(1)
			st.Write(outgoing{Headers: okHeaders, Data: []byte("part")})
			p.conn.End(ErrCodeEnhanceYourCalm, "too_many_pings")
			p.WantHeaders(1, false)
			p.WantData(1, false, "part")
			p.wantGoAway(ErrCodeEnhanceYourCalm)
			if _, err := st.Write(outgoing{Data: []byte("x")}); err == nil {
				p.t.Error("Write after End succeeded")
			}
			p.WriteHeaders(3, true, request()...) // thrown away
			p.wantGoodEnd()
		})
	})
	t.Run("before the preface", func(t *testing.T) {
		withPeer(t, Config{}, func(p *peer) {
			p.conn.End(ErrCodeNo, "")
			p.Want(h2test.Settings)
			p.Want(h2test.WindowUpdate)
			p.wantGoAway(ErrCodeNo)
			p.Write([]byte(preface))
			p.WriteSettings()
			p.wantGoodEnd()
		})
	})
	t.Run("wakes those who wait", func(t *testing.T) {
		withPeer(t, Config{MaxPendingBytes: 1}, func(p *peer) {
			p.GreetServer(4, 0)
			st := p.open(1)
			var room, done bool
			go func() {
				st.Write(outgoing{Headers: okHeaders, Data: make([]byte, 100)})
				room, _ = st.WaitRoom(0)
				done = true
			}()
			p.WantHeaders(1, false)
			p.conn.End(ErrCodeNo, "")
			synctest.Wait()
			if !done || room {
				p.t.Errorf("WaitRoom has returned %v: %v", room, done)
			}
			p.wantGoAway(ErrCodeNo)
		})
	})
}

// A peer that does not read, or reads an octet now and then, cannot keep a connection that has ended.
func TestConn_EndIsBounded(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(p *peer)
	}{
		{"End", func(p *peer) { p.conn.End(ErrCodeNo, "") }},
		{"a connection error", func(p *peer) { p.WriteData(0, false, "x") }},
		{"a connection error and more", func(p *peer) {
			for range 100_000 {
				p.WriteFrame(0x6, 0, 0, "12345678")
			}
		}},
	} {
		for _, dribble := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read slowly: %v", row.name, dribble), func(t *testing.T) {
				withPeer(t, Config{}, func(p *peer) {
					p.stopsReading()
					go row.end(p)
					for range 10 * int(endTime/lingerTime) {
						time.Sleep(lingerTime / 10)
						if dribble {
							p.nc.Take()
						}
					}
					synctest.Wait()
					if !p.stopped.Load() {
						p.t.Error("still open")
					}
				})
			})
		}
	}
}

// The peer has a time in which to finish the preface, however it spends it.
func TestConn_SetupTimeout(t *testing.T) {
	const timeout = 10 * time.Second
	all := append([]byte(preface), rawFrame(0x4, 0, 0)...)
	for _, row := range []struct {
		name  string
		sent  int
		every time.Duration
		open  bool
	}{
		{"nothing", 0, 0, false},
		{"half of the preface", 12, 0, false},
		{"the preface without SETTINGS", 24, 0, false},
		{"the preface and half of SETTINGS", 28, 0, false},
		{"all of it", len(all), 0, true},
		{"all of it, octet by octet, just in time", len(all), timeout / 34, true},
		{"all of it, octet by octet, too slowly", len(all), timeout / 32, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{SetupTimeout: timeout}, func(p *peer) {
				start := time.Now()
				for i := range row.sent {
					time.Sleep(row.every)
					synctest.Wait()
					if !p.stopped.Load() {
						p.Write(all[i : i+1])
					}
				}
				time.Sleep(timeout - time.Since(start) + 1)
				synctest.Wait()
				if p.stopped.Load() == row.open {
					p.t.Errorf("ended: %v, want %v", p.stopped.Load(), !row.open)
				}
				if p.stopped.Load() && p.stop == nil {
					p.t.Error("Serve returned nil")
				}
			})
		})
	}
}

// However a connection ends, each stream that is open is told once.
func TestConn_TellsOpenStreamsOnce(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"the peer hangs up":       func(p *peer) { p.nc.Close() },
		"the peer half-closes":    func(p *peer) { p.nc.CloseWrite() },
		"in the middle of frames": func(p *peer) { p.Write(rawFrame(0x0, 0, 1, "abc")[:10]); p.nc.CloseWrite() },
		"a connection error":      func(p *peer) { p.WriteData(0, false, "") },
		"End":                     func(p *peer) { p.conn.End(ErrCodeNo, "") },
		"a write fails":           func(p *peer) { p.nc.CloseRead(); p.WriteFrame(0x6, 0, 0, "12345678") },
	} {
		t.Run(name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer()
				var streams []*testStream
				for id := uint32(1); id < 20; id += 2 {
					streams = append(streams, p.open(id))
				}
				end(p)
				synctest.Wait()
				if name == "End" {
					time.Sleep(lingerTime) // that of Serve
					synctest.Wait()
				}
				for _, st := range streams {
					if err := st.closedBy(p.t); !errors.Is(err, ErrConnClosed) {
						p.t.Errorf("stream %d was told %v", st.id, err)
					}
					if _, err := st.Write(outgoing{Headers: okHeaders, Finish: true}); err == nil {
						p.t.Error("Write succeeds on a connection that is over")
					}
					st.Reset(ErrCodeCancel)
					st.Consumed(1)
				}
			})
		})
	}
}
