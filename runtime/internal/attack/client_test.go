package attack

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// field is a field line as a literal that leaves the dynamic table alone.
func field(name, value string) []byte {
	b := []byte{0}
	for _, s := range []string{name, value} {
		b = appendInt(b, 7, 0, len(s))
		b = append(b, s...)
	}
	return b
}

// appendInt appends an integer as HPACK writes it, with an n-bit prefix.
func appendInt(b []byte, n uint, first byte, i int) []byte {
	limit := 1<<n - 1
	if i < limit {
		return append(b, first|byte(i))
	}
	b = append(b, first|byte(limit))
	for i -= limit; i >= 0x80; i >>= 7 {
		b = append(b, byte(i)|0x80)
	}
	return append(b, byte(i))
}

// block is the field block of a call, with more field lines, each with its name and its value.
func block(method string, more ...string) []byte {
	b := []byte{0x83, 0x86} // POST, http
	b = append(b, field(":path", "/attack.S/"+method)...)
	b = append(b, field("content-type", "application/grpc")...)
	b = append(b, field("te", "trailers")...)
	if facing.companions {
		b = append(b, field("grpc-accept-encoding", "gzip")...)
	}
	for i := 0; i < len(more); i += 2 {
		b = append(b, field(more[i], more[i+1])...)
	}
	return b
}

// lpm is a Length-Prefixed-Message.
func lpm(flag byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

// client is an HTTP/2 client of which each frame is told.
type client struct {
	t testing.TB
	*h2test.Inbox
	nc   net.Conn
	next uint32 // stream

	frames   int // sent
	octets   int
	settings int  // frames sent
	stuck    bool // the server has stopped reading
	broken   bool // nothing more can be sent
	started  bool // reading

	// Guarded by the inbox.
	goAways []string
	acks    int               // of SETTINGS
	initial int               // the server's SETTINGS_INITIAL_WINDOW_SIZE
	owed    [][]byte          // acknowledgements of SETTINGS and PINGs
	credits map[uint32]int    // by stream; 0: the connection's
	ends    map[uint32]string // how streams ended
	called  map[uint32]bool   // calls that have had their answer: what is said of one afterwards is no news
	status  map[uint32]string // :status, other than 200
	bodies  map[uint32][]byte // nil: not kept
}

// dial connects, with TLS if the victim that is faced wants it. The client says nothing yet, and does not read.
func dial(t testing.TB, port int) *client {
	t.Helper()
	var nc net.Conn
	nc, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	if facing.tls {
		secure := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		nc = secure
	}
	return &client{
		t: t, Inbox: h2test.NewInbox(), nc: nc, next: 1,
		initial: 65535, credits: map[uint32]int{0: 65535}, ends: map[uint32]string{}, status: map[uint32]string{},
	}
}

// greet sends the preface with SETTINGS.
func (c *client) greet(parameters ...[]byte) {
	c.send([]byte(http2.ClientPreface))
	c.send(h2test.Raw(h2test.Settings, 0, 0, bytes.Join(parameters, nil)))
}

// patience is how long a client waits for what must happen, and a write for a server that does not read.
const patience = 2 * time.Minute

// send sends frames, as one write. What cannot be sent does not matter: the attack is over then.
func (c *client) send(all ...[]byte) {
	b := bytes.Join(all, nil)
	if c.broken || len(b) == 0 || !c.write(b) {
		return
	}
	for _, f := range all {
		if len(f) >= 9 && f[3] == h2test.Settings && f[4] == 0 {
			c.settings++ // as far as it is sent by itself, which is good enough: one that is not counted is not waited for
		}
	}
	c.frames += len(all)
}

// write writes octets, and reports whether it could.
func (c *client) write(b []byte) bool {
	c.nc.SetWriteDeadline(time.Now().Add(2 * time.Second))
	n, err := c.nc.Write(b)
	c.octets += n
	if err != nil {
		c.broken, c.stuck = true, errors.Is(err, os.ErrDeadlineExceeded)
		return false
	}
	return true
}

// sendData sends content as far as the flow-control windows allow, and returns what is left. If patient, it waits for
// more window until nothing is left.
func (c *client) sendData(id uint32, content []byte, patient bool) (left []byte) {
	for len(content) > 0 && !c.broken {
		n := 0
		open := func() bool {
			n = min(len(content), 16384, c.credits[0], c.credits[id])
			return n > 0 || c.ends[id] != ""
		}
		if patient {
			c.wait("flow-control window", open)
		} else {
			c.Lock()
			open()
			c.Unlock()
		}
		if n <= 0 {
			return content
		}
		c.send(h2test.Raw(h2test.Data, 0, id, content[:n]))
		c.Lock()
		c.credits[0] -= n
		c.credits[id] -= n
		c.Unlock()
		content = content[n:]
	}
	return content
}

// repeat sends frames n times.
func (c *client) repeat(n int, all ...[]byte) {
	once := bytes.Join(all, nil)
	for n > 0 && !c.broken {
		some := min(n, 1+20_000/len(once))
		c.send(bytes.Repeat(once, some))
		c.frames += some*len(all) - 1
		n -= some
	}
}

// id takes the next stream identifier.
func (c *client) id() uint32 {
	id := c.next
	c.next += 2
	c.Lock()
	c.credits[id] = c.initial
	c.Unlock()
	return id
}

// read begins to read.
func (c *client) read() {
	if !c.started {
		c.started = true
		c.Start(c.nc, c.process)
	}
}

func (c *client) process(f http2.Frame) {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.GoAwayFrame:
		c.goAways = append(c.goAways, strings.TrimSuffix(fmt.Sprintf("%v: %s", f.ErrCode, f.DebugData()), ": "))
	case *http2.SettingsFrame:
		if f.IsAck() {
			c.acks++
			return
		}
		if initial, ok := f.Value(http2.SettingInitialWindowSize); ok {
			c.resize(int(initial))
		}
		c.owed = append(c.owed, h2test.Raw(h2test.Settings, h2test.Ack, 0))
	case *http2.PingFrame:
		if !f.IsAck() {
			c.owed = append(c.owed, h2test.Raw(h2test.Ping, h2test.Ack, 0, f.Data[:]))
		}
	case *http2.WindowUpdateFrame:
		if _, ok := c.credits[id]; ok {
			c.credits[id] += int(f.Increment)
		}
	case *http2.RSTStreamFrame:
		if c.ends[id] == "" && !c.called[id] {
			c.ends[id] = "RST_STREAM " + f.ErrCode.String()
		}
	case *http2.DataFrame:
		if c.bodies != nil {
			c.bodies[id] = append(c.bodies[id], f.Data()...)
		}
		if f.StreamEnded() { // no gRPC
			c.ends[id] = "HTTP " + c.status[id]
		}
	case *http2.MetaHeadersFrame:
		if !f.StreamEnded() {
			if status := f.PseudoValue("status"); status != "200" {
				c.status[id] = status
			}
			return
		}
		status := "no grpc-status"
		for _, h := range f.Fields {
			if h.Name == "grpc-status" {
				status = "grpc-status " + h.Value
			}
		}
		c.ends[id] = status
	}
}

// resize changes the windows of all streams.
func (c *client) resize(initial int) {
	for id := range c.credits {
		if id > 0 {
			c.credits[id] += initial - c.initial
		}
	}
	c.initial = initial
}

// acknowledge acknowledges the SETTINGS and PINGs that have come. Unless an attack does that, nothing is acknowledged.
func (c *client) acknowledge() {
	c.Lock()
	owed := c.owed
	c.owed = nil
	c.Unlock()
	c.send(owed...)
}

// wait waits until holds reports true, or the connection is over.
func (c *client) wait(what string, holds func() bool) {
	c.t.Helper()
	if !c.Wait(patience, func() bool { return holds() || c.Err != nil }) {
		c.t.Errorf("waited in vain for %s", what)
	}
}

// sync waits until the server has processed what was sent.
func (c *client) sync() {
	c.t.Helper()
	c.send(h2test.Raw(h2test.Settings, 0, 0))
	if !c.broken {
		c.wait("an acknowledgement", func() bool { return c.acks >= c.settings })
	}
}

// waitEnds waits until n streams have ended.
func (c *client) waitEnds(n int) {
	c.t.Helper()
	c.wait("the end of streams", func() bool { return len(c.ends) >= n })
}

// call makes a call and returns how it ended.
func (c *client) call(method string, message []byte) string {
	c.t.Helper()
	id := c.id()
	c.Lock()
	none := c.credits[0] == 0
	c.Unlock()
	if none && len(message) == 0 {
		c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, id, block(method)))
	} else {
		c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, block(method)), h2test.Raw(h2test.Data, h2test.EndStream, id, lpm(0, message)))
	}
	c.wait("an answer", func() bool { return c.ends[id] != "" })
	c.Lock()
	defer c.Unlock()
	end := c.ends[id]
	delete(c.ends, id)
	if c.called == nil {
		c.called = map[uint32]bool{}
	}
	c.called[id] = true
	return end
}

// reaction describes what the server has done about the attack.
func (c *client) reaction() string {
	c.t.Helper()
	c.read()
	var parts []string
	c.Lock()
	gone := len(c.goAways) > 0 || c.Err != nil
	c.Unlock()
	if c.stuck {
		parts = append(parts, "reads no more")
	}
	if !gone && !c.broken {
		if end := c.call("Nope", nil); end == "grpc-status 12" { // needs no window
			parts = append(parts, "served")
		} else if end != "" {
			parts = append(parts, "then "+end)
		}
	}
	if c.broken || gone {
		c.wait("the end of the connection", func() bool { return c.Err != nil })
	}
	c.Lock()
	defer c.Unlock()
	switch {
	case len(c.goAways) > 0:
		parts = append(parts, "GOAWAY "+c.goAways[len(c.goAways)-1])
	case c.Err != nil:
		parts = append(parts, "closed")
	}
	counts := map[string]int{}
	for _, end := range c.ends {
		counts[end]++
	}
	for _, end := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[end], end))
	}
	return strings.Join(parts, "; ")
}

func (c *client) close() {
	c.nc.Close()
	c.Join()
}
