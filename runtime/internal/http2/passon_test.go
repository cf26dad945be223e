package http2

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// passed has connections passed on, to a user that reads some octets and writes them back, and then calls done.
func (p *peer) passed(octets int, done chan struct{}) {
	p.app.serveOther = func(nc net.Conn, release func()) {
		go func() {
			defer close(done)
			defer release()
			_, err := io.CopyN(nc, nc, int64(octets))
			p.app.passedOn = append(p.app.passedOn, err)
		}()
	}
}

// TestConn_PassOn has a peer say something else than the preface, in pieces of any size. Those to whom the connection is passed on
// get all of it, whenever it has come, and nothing else is sent.
func TestConn_PassOn(t *testing.T) {
	const sent = "PUT / HTTP/1.1\r\n\r\n"
	for piece := 1; piece <= len(sent); piece++ {
		withPeer(t, Config{SetupTimeout: time.Second, MaxIdle: time.Second, MaxAge: time.Second}, func(p *peer) {
			done := make(chan struct{})
			p.passed(2*len(sent), done)
			for range 2 {
				for rest := sent; rest != ""; rest = rest[min(piece, len(rest)):] {
					p.Write([]byte(rest[:min(piece, len(rest))]))
					synctest.Wait()
				}
				time.Sleep(time.Hour)
			}
			<-done
			if back, err := io.ReadAll(p.nc); string(back) != sent+sent || err != nil {
				t.Errorf("in pieces of %d: %q, %v", piece, back, err)
			}
			synctest.Wait()
			if received, written := p.conn.Octets(); received != 2*uint64(len(sent)) || written != received || p.stop != nil {
				t.Errorf("%d octets were received and %d sent; Serve returned %v", received, written, p.stop)
			}
		})
	}
}

// TestConn_PassedOnEnds has the connection end while others read it, from outside and by the peer. Serve does not wait for those who
// do not let go of it.
func TestConn_PassedOnEnds(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"End":               func(p *peer) { p.conn.End(ErrCodeNo, "") },
		"Shutdown and End":  func(p *peer) { p.conn.Shutdown(); p.conn.End(ErrCodeNo, "") },
		"twice":             func(p *peer) { p.conn.End(ErrCodeNo, ""); p.conn.End(ErrCodeNo, "") },
		"the peer hangs up": func(p *peer) { p.nc.Close() },
		"a stall, and End":  func(p *peer) { p.conn.WatchStall(); time.Sleep(time.Hour); p.conn.End(ErrCodeNo, "") },
	} {
		t.Run(name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				done := make(chan struct{})
				p.passed(1000, done)
				p.Write([]byte("GET"))
				synctest.Wait()
				p.conn.Shutdown() // is no concern of those who have it
				synctest.Wait()
				if p.stopped.Load() {
					t.Fatal("Serve has returned")
				}
				end(p)
				<-done
				synctest.Wait()
				if sent, _ := io.ReadAll(p.nc); string(sent) != "" && string(sent) != "GET" {
					t.Errorf("%q was sent", sent)
				}
				if !p.stopped.Load() || p.stop != nil || p.app.passedOn[0] == nil {
					t.Errorf("Serve has returned: %v, with %v; reading ended with %v", p.stopped.Load(), p.stop, p.app.passedOn)
				}
			})
		})
	}
}

// TestConn_PassOnTooLate has a connection shut down, or end, before the peer says what it speaks. Frames have been sent: nobody else
// can use it.
func TestConn_PassOnTooLate(t *testing.T) {
	for _, ends := range []bool{false, true} {
		t.Run(fmt.Sprint(ends), func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.app.serveOther = func(net.Conn, func()) { t.Error("it was passed on") }
				if ends {
					p.conn.End(ErrCodeNo, "")
				} else {
					p.conn.Shutdown()
				}
				p.Write([]byte("GET"))
				io.Copy(io.Discard, p.nc)
			})
		})
	}
}

// TestConn_ServeBy passes a connection on without a look at what comes.
func TestConn_ServeBy(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		client, server := net.Pipe()
		c := NewConn(server, newTestApp(), p.conn.config, p.conn.account)
		go func() {
			io.WriteString(client, clientPreface)
			client.Close()
		}()
		var got []byte
		err := c.ServeBy(func(nc net.Conn, done func()) {
			go func() {
				defer done()
				got, _ = io.ReadAll(nc)
			}()
		})
		if string(got) != clientPreface || err != nil {
			t.Errorf("read %q, and ServeBy returned %v", got, err)
		}
		c = NewConn(server, newTestApp(), p.conn.config, p.conn.account)
		c.End(ErrCodeNo, "")
		if err := c.ServeBy(func(net.Conn, func()) { t.Error("it was passed on") }); err != nil && !errors.Is(err, ErrConnClosed) {
			t.Error(err)
		}
	})
}
