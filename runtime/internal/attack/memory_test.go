package attack

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// most is how many streams the attacks on memory open: one less than the server allows, for what comes after. With the
// race detector it is fewer.
func most() int {
	if raceEnabled {
		return 99
	}
	return 999
}

// gzipped returns n zeros, compressed.
func gzipped(n int) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	w.Write(make([]byte, n))
	w.Close()
	return b.Bytes()
}

// zeroWindow has the server send nothing that flow control is for.
func zeroWindow(c *client) {
	c.send(h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.InitialWindowSize, 0)))
}

// openWindow lets the server send as much as it likes.
func openWindow(c *client) {
	c.send(h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.InitialWindowSize, 1<<31-1)), h2test.Raw(h2test.WindowUpdate, 0, 0, 1<<31-1-65535))
}

// growWindows has the windows grow: it acknowledges PINGs late, as if all that it has sent had come within a round trip.
func (c *client) growWindows() {
	id, message := c.opened("Read"), lpm(0, make([]byte, 1<<20-5))
	small := func() bool {
		c.Lock()
		defer c.Unlock()
		return c.initial < 8<<20
	}
	for left := message; small() && !c.broken; {
		if left = c.sendData(id, left, false); len(left) == 0 {
			left = message
			continue
		}
		c.sync()
		time.Sleep(20 * time.Millisecond)
		c.acknowledge()
	}
}

// ask makes calls of a method, and does not wait for the answers.
func ask(n int, method string) func(c *client) {
	return func(c *client) {
		for range n {
			id := c.id()
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, block(method)), h2test.Raw(h2test.Data, h2test.EndStream, id, call))
		}
	}
}

func both(first, then func(c *client)) func(c *client) {
	return func(c *client) { first(c); then(c) }
}

// TestMemory has clients that have the server keep as much as it will.
func TestMemory(t *testing.T) { eachKind(t, playMemory) }

func playMemory(t *testing.T, v *victim) {
	// As much as comes into all windows, for messages of 4 MiB that are never complete.
	halves := func(method string, size int) func(c *client) {
		return func(c *client) {
			message := lpm(0, make([]byte, size))
			left := map[uint32][]byte{}
			for range most() {
				left[c.opened(method)] = message[:len(message)-1]
			}
			for sent := true; sent; {
				sent = false
				c.sync() // the credits that are due have come then
				for id, content := range left {
					rest := c.sendData(id, content, false)
					sent = sent || len(rest) < len(content)
					left[id] = rest
				}
			}
		}
	}
	// As much as comes into windows that the client has made grow. If obliging, it acknowledges that they become small again.
	grown := func(streams int, method string, short int, obliging bool) func(c *client) {
		return func(c *client) {
			c.growWindows()
			message := lpm(0, make([]byte, 4<<20-5))
			message = message[:len(message)-short]
			left := map[uint32][]byte{}
			for range streams {
				left[c.opened(method)] = message
			}
			for last := time.Now(); time.Since(last) < 3*time.Second; time.Sleep(10 * time.Millisecond) {
				if obliging {
					c.acknowledge()
				}
				for id, content := range left {
					rest := c.sendData(id, content, false)
					if len(rest) < len(content) {
						last = time.Now()
					}
					if left[id] = rest; len(rest) == 0 && short == 0 {
						left[id] = message
					}
				}
			}
		}
	}
	bombs, calls, slow := most(), most(), "served.*" // some get through before the socket is full, or once the client reads
	if facing.companions {                           // responses are compressed, which takes the server 10 ms each
		calls = 100
	}
	if raceEnabled {
		bombs = 20 // they take 100 ms each
	}
	run(t, v, "memory", []attack{
		{name: "4 MiB announced, not sent", send: func(c *client) {
			for range most() {
				c.send(h2test.Raw(h2test.Data, 0, c.opened("Wait"), lpm(0, make([]byte, 4<<20))[:5]))
			}
		}, want: "served"},
		{name: "4 GiB announced (CVE-2024-37168)", send: func(c *client) {
			for range most() {
				c.send(h2test.Raw(h2test.Data, 0, c.opened("Wait"), "\x00\xff\xff\xff\xff"))
			}
			c.waitEnds(most())
		}, want: fmt.Sprintf("served; %d × grpc-status 8", most())},
		{name: "messages of 4 MiB, half sent", send: halves("Wait", 4<<20), want: "served", heap: mostHeld >> 20},
		{name: "messages of 64 KiB, half sent", send: halves("Wait", 65_000), want: "served", heap: 64 + 16},
		{name: "streams of messages that are not taken", send: halves("Deaf", 4<<20), want: "served", heap: mostHeld >> 20},
		{name: "windows that have grown, and messages that are not taken", send: grown(most()-1, "Deaf", 0, true), want: "served", heap: mostHeld >> 20},
		{name: "windows that have grown, and messages that are not taken, on few streams", send: grown(2, "Deaf", 0, true), want: "served", heap: mostHeldByTwo >> 20},
		{name: "windows that have grown, and messages of 4 MiB, half sent", send: grown(most()-1, "Wait", 1, true), want: "served", heap: mostHeld >> 20},
		{name: "windows that have grown, and do not become small again", send: grown(most()-1, "Deaf", 0, false), want: "served", heap: mostHeld >> 20},
		{name: "streams of messages without content that are not taken", send: func(c *client) {
			content := bytes.Repeat(call, 65535/5)
			for range most() / 10 {
				c.sendData(c.opened("Deaf"), content, true)
			}
		}, want: "served", heap: 64},
		{name: "messages of 4 KiB that inflate to 4 MiB and more", send: func(c *client) {
			bomb := lpm(1, gzipped(4<<20+1))
			b := block("Echo", "grpc-encoding", "gzip")
			for range bombs {
				id := c.id()
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, b), h2test.Raw(h2test.Data, h2test.EndStream, id, bomb))
			}
			c.waitEnds(bombs)
		}, want: fmt.Sprintf("served; %d × grpc-status 8", bombs)},
		{name: "large responses, zero window (CVE-2016-1546)", send: both(zeroWindow, ask(calls, "Large")), want: slow, heap: mostHeld >> 20},
		{name: "large responses, not read (CVE-2019-9517)", unread: true, send: both(openWindow, ask(calls, "Large")), want: slow, heap: mostHeld >> 20},
		{name: "streams of responses, zero window", send: both(zeroWindow, ask(calls, "Stream")), want: slow, heap: mostHeld >> 20},
		{name: "streams of responses, not read", unread: true, send: both(openWindow, ask(calls, "Stream")), want: ".*", heap: mostHeld >> 20},
		{name: "responses in windows of one octet (CVE-2019-9511)", send: func(c *client) {
			c.send(h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.InitialWindowSize, 1)))
			ask(1, "Large")(c)
			c.repeat(count(100_000), h2test.Raw(h2test.WindowUpdate, 0, 1, 1))
		}, want: "served(; 1 × grpc-status 0)?"}, // compressed, it may be that small
		{name: "DATA on streams that were refused", send: func(c *client) {
			for i := 0; i < count(10_000); i++ {
				id := c.id()
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, block("Nope")))
				if i%100 == 0 {
					c.sync()
				}
				c.wait("the connection's window", func() bool { return c.credits[0] >= 16384 })
				c.send(h2test.Raw(h2test.Data, 0, id, make([]byte, 16384)))
				c.Lock()
				c.credits[0] -= 16384
				c.Unlock()
			}
		}, want: "served.*"},
	})
}
