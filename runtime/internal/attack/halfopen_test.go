package attack

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// A step is how far a client comes that then says nothing any more.
type step struct {
	name    string
	tls     bool // on the port with TLS
	says    string
	slowly  bool   // octet by octet
	secured bool   // what it says, it says after a handshake
	want    string // what is the last of what it gets
}

var preface = http2.ClientPreface

// hello is the beginning of a TLS handshake: a record of 512 octets, of which not all comes.
const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

func steps() []step {
	greeting := preface + string(h2test.Raw(h2test.Settings, 0, 0))
	request := string(h2test.Raw(h2test.Headers, h2test.EndHeaders, 1, block("Wait")))
	return []step{
		{name: "nothing", want: "closed"},
		{name: "half of the preface", says: preface[:12], want: "closed"},
		{name: "the preface, octet by octet", says: preface, slowly: true, want: "closed"},
		{name: "the preface without SETTINGS", says: preface, want: "closed"},
		{name: "half a SETTINGS frame", says: greeting[:28], want: "closed"},
		{name: "the preface with SETTINGS", says: greeting, want: "PING"},
		{name: "half a HEADERS frame", says: greeting + request[:20], want: "PING"},
		{name: "HEADERS without END_HEADERS", says: greeting + string(h2test.Raw(h2test.Headers, 0, 1, block("Wait"))), want: "GOAWAY ENHANCE_YOUR_CALM: field block takes too long"},
		{name: "a request without its message", says: greeting + request, want: "PING"},
		{name: "half a message", says: greeting + request + string(h2test.Raw(h2test.Data, 0, 1, lpm(0, make([]byte, 9000))[:4000])), want: "PING"},
		{name: "TLS: nothing", tls: true, want: "closed"},
		{name: "TLS: half a ClientHello", tls: true, says: hello, want: "closed"},
		{name: "TLS: the handshake alone", tls: true, secured: true, want: "closed"},
		{name: "TLS: half of the preface", tls: true, secured: true, says: preface[:12], want: "closed"},
		{name: "TLS: the preface with SETTINGS", tls: true, secured: true, says: greeting, want: "PING"},
		{name: "no HTTP/2", says: "GET / HTTP/1.1\r\n\r\n", want: "closed"},
		{name: "TLS: no TLS", tls: true, says: greeting, want: "closed"},
	}
}

// stop goes as far as the step.
func (s *step) stop(t *testing.T, p ports) net.Conn {
	t.Helper()
	port := p.Plain
	if s.tls {
		port = p.TLS
	}
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if s.secured {
		secure := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		nc = secure
	}
	if !s.slowly {
		nc.Write([]byte(s.says))
		return nc
	}
	go func() {
		for i := range len(s.says) {
			if _, err := nc.Write([]byte{s.says[i]}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // what it has is 300 ms for all of it
		}
	}()
	return nc
}

// lastWords reads until the server hangs up, and returns the last frame that tells something.
func lastWords(nc net.Conn) string {
	nc.SetReadDeadline(time.Now().Add(patience))
	framer, last := http2.NewFramer(nil, nc), "closed"
	for {
		f, err := framer.ReadFrame()
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return "still open after " + last
		}
		if err != nil {
			io.Copy(io.Discard, nc)
			return last
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			last = fmt.Sprintf("GOAWAY %v: %s", f.ErrCode, f.DebugData())
		case *http2.PingFrame:
			last = "PING"
		}
	}
}

// TestHalfOpen has clients stop at every step. What they hold is little; and they are closed when their time is over, which
// is short on one of the victim's servers.
func TestHalfOpen(t *testing.T) { eachKind(t, playHalfOpen) }

func playHalfOpen(t *testing.T, v *victim) {
	const holding, closing = 100, 20
	table := "\n| clients that stop after | heap each, KiB | closed after | by |\n|---|---|---|---|\n"
	bystanders := map[string]*bystander{"default": v.watch("default"), "quick": v.watch("quick")}
	defer func() {
		for _, b := range bystanders {
			close(b.stop)
			b.wg.Wait()
		}
	}()
	before := v.measure("default", true)
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			heap := v.measure("default", true).Heap
			var open []net.Conn
			for range holding {
				open = append(open, s.stop(t, v.ports["default"]))
			}
			bystanders["default"].waitCalls(t, 20)
			held := (v.measure("default", true).Heap - heap) / holding
			for _, nc := range open {
				nc.Close()
			}
			if held > 64<<10 {
				t.Errorf("a connection holds %d octets", held)
			}
			open = nil
			for range closing {
				open = append(open, s.stop(t, v.ports["quick"]))
			}
			got := ""
			for _, nc := range open {
				if got = lastWords(nc); got != s.want {
					t.Fatalf("the last of what it gets is %q, want %q", got, s.want)
				}
			}
			bystanders["quick"].waitCalls(t, 2)
			table += fmt.Sprintf("| %s | %.1f | %s | %s |\n", s.name, max(0, float64(held)/1024), s.limit(), got)
		})
	}
	v.waitGoroutines(t, before)
	t.Log(table)
}

// limit names the option that closes the connection.
func (s *step) limit() string {
	switch {
	case s.name == "no HTTP/2" || s.name == "TLS: no TLS":
		return "at once"
	case s.want == "PING":
		return "KeepaliveTime + KeepaliveTimeout"
	}
	return "SetupTimeout"
}
