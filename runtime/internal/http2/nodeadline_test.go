package http2

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// noDeadlines is a connection without deadlines, which says so or does not.
type noDeadlines struct {
	net.Conn
	err error
}

func (c noDeadlines) SetDeadline(time.Time) error      { return c.err }
func (c noDeadlines) SetReadDeadline(time.Time) error  { return c.err }
func (c noDeadlines) SetWriteDeadline(time.Time) error { return c.err }

// A connection without deadlines comes to its end all the same: when its peer does not finish the preface, does not hang
// up after the last stream, and does not read.
func TestConn_WithoutDeadlines(t *testing.T) {
	greeting := append([]byte(preface), rawFrame(0x4, 0, 0)...)
	for _, row := range []struct {
		name  string
		says  []byte
		deaf  bool
		end   func(c *Conn)
		liar  bool // it need not end if the connection does not say that it has no deadlines
		after time.Duration
	}{
		{"nothing", nil, false, func(*Conn) {}, true, 10 * time.Second},
		{"half of the preface", greeting[:12], false, func(*Conn) {}, true, 10 * time.Second},
		{"Shutdown", greeting, false, (*Conn).Shutdown, false, shutdownPingTime + endTime},
		{"Shutdown before the preface", nil, false, (*Conn).Shutdown, false, shutdownPingTime + endTime},
		{"End", greeting, false, func(c *Conn) { c.End(ErrCodeNo, "") }, false, endTime},
		{"Shutdown and End, not read", greeting, true, func(c *Conn) {
			go c.Shutdown()
			time.Sleep(shutdownPingTime)
			c.End(ErrCodeNo, "")
		}, false, shutdownPingTime + endTime},
	} {
		for name, err := range map[string]error{"": os.ErrNoDeadline, ", and it does not say so": nil} {
			if err == nil && row.liar {
				continue
			}
			t.Run(row.name+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := net.Pipe() // without a buffer
					defer b.Close()
					if !row.deaf {
						go func() {
							for buf := make([]byte, 1000); ; {
								if _, err := b.Read(buf); err != nil {
									return
								}
							}
						}()
					}
					c := NewConn(noDeadlines{a, err}, newTestApp(), Config{}.WithDefaults(), budget.New(-1, nil, nil))
					served := make(chan struct{})
					go func() {
						defer close(served)
						c.Serve()
					}()
					began := time.Now()
					b.Write(row.says)
					synctest.Wait()
					row.end(c)
					<-served
					if took := time.Since(began); took > row.after {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// SetupBy has the time for the preface end sooner than the timeout.
func TestConn_SetupBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := NewConn(a, newTestApp(), Config{SetupTimeout: time.Minute}.WithDefaults(), budget.New(-1, nil, nil))
		began := time.Now()
		c.SetupBy(began.Add(time.Second))
		c.Serve()
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A panic on a goroutine of the connection's is the application's to log, and the connection's end.
func TestConn_ContainsPanics(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		var reasons []any
		p.app.onPanic = func(reason any) { reasons = append(reasons, reason) }
		func() {
			defer p.conn.life.recoverPanic()
			panic("a mistake")
		}()
		synctest.Wait()
		if len(reasons) != 1 || !p.stopped.Load() {
			t.Errorf("the application was told %v, and the connection has ended: %v", reasons, p.stopped.Load())
		}
	})
}

// TestClient_WithoutDeadlines has a server that hangs up neither after the client's end nor after its own.
func TestClient_WithoutDeadlines(t *testing.T) {
	for name, end := range map[string]func(c *testClient, p *h2test.Peer){
		"Shutdown": func(c *testClient, _ *h2test.Peer) { c.Shutdown() },
		"GOAWAY":   func(_ *testClient, p *h2test.Peer) { p.WriteFrame(h2test.GoAway, 0, 0, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := h2test.NewPipe()
				defer a.Close()
				c := newTestClient(t, noDeadlines{b, os.ErrNoDeadline}, Config{})
				p := h2test.NewPeer(t, a)
				p.GreetClient()
				end(c, p)
				time.Sleep(endTime)
				synctest.Wait()
				if !c.stopped.Load() || c.stop != nil {
					t.Errorf("Serve has returned: %v, %v", c.stopped.Load(), c.stop)
				}
			})
		})
	}
}
