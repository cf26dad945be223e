// Package frameload makes load for which h2load has no mode: messages that go to and fro on open streams, slow RPCs
// beside fast ones, fields that differ from RPC to RPC, and connections and streams that are idle. It speaks in HTTP/2
// frames made by hand, one goroutine for each connection and one write for each batch of replies, so that the client's
// cost does not hide the server's.
package frameload

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

// Load is a number of requests, in lanes: a lane sends its next request when the reply to the one before has come.
type Load struct {
	Connections int
	Streams     int  // lanes on each connection
	Rounds      int  // requests in each lane
	Unary       bool // each request is an RPC of its own; otherwise a lane is one RPC
	TLS         bool

	Path    string // of the method
	Message []byte // the request, as a Length-Prefixed-Message
	Replies int    // responses to each request

	// Upload has a lane send its requests one after the other, as fast as the server takes them. Reply is the one
	// response that comes in the end, as a Length-Prefixed-Message.
	Upload bool
	Reply  []byte

	// Fields are header fields of each request beside those that gRPC asks for. Vary adds two that are different each
	// time, as those of clients in the field are: a deadline, and the identity of a trace.
	Fields []hpack.HeaderField
	Vary   bool

	// Compressed has a response fail that does not have the Compressed-Flag.
	Compressed bool

	// Untimed has no latencies taken.
	Untimed bool

	// Hold leaves the streams open when all replies have come.
	Hold bool

	// Slow is how many more lanes each connection has that send SlowMessage, as unary RPCs, as long as the others run.
	// They are not in the result.
	Slow        int
	SlowMessage []byte
}

// Result is what a load has seen.
type Result struct {
	Messages int // responses; requests, if Load.Upload
	Elapsed  time.Duration
	Waits    []time.Duration // from a request to its only response, in no order; nil if there are other numbers of them
}

// timeLimit is what no load takes: nothing hangs.
const timeLimit = 3 * time.Minute

// Run puts the load on the server at address.
func (l Load) Run(address string) (Result, error) {
	type end struct {
		result Result
		err    error
	}
	ends := make(chan end, l.Connections)
	start := time.Now()
	for range l.Connections {
		go func() {
			result, err := l.runConnection(address)
			ends <- end{result, err}
		}()
	}
	var total Result
	var errs []error
	for range l.Connections {
		e := <-ends
		total.Messages += e.result.Messages
		total.Waits = append(total.Waits, e.result.Waits...)
		errs = append(errs, e.err)
	}
	total.Elapsed = time.Since(start)
	want := l.Connections * l.Streams * l.Rounds
	if !l.Upload {
		want *= l.Replies
	}
	if total.Messages != want {
		errs = append(errs, fmt.Errorf("%d messages were exchanged of %d", total.Messages, want))
	}
	return total, errors.Join(errs...)
}

func (l Load) runConnection(address string) (Result, error) {
	c, err := l.dial(address)
	if err != nil {
		return Result{}, err
	}
	defer c.nc.Close()
	return c.run()
}

// run puts the load on an open connection.
func (c *connection) run() (Result, error) {
	c.nc.SetDeadline(time.Now().Add(timeLimit))
	c.result = Result{}
	c.open = c.load.Streams
	for i := range c.load.Streams + c.load.Slow {
		ln := &lane{slow: i >= c.load.Streams}
		c.begin(ln)
		c.request(ln)
	}
	err := c.exchange()
	return c.result, err
}

// dial connects, and says what HTTP/2 begins with.
func (l Load) dial(address string) (*connection, error) {
	dialer := &net.Dialer{Timeout: timeLimit}
	var nc net.Conn
	var err error
	if l.TLS {
		// The certificate is the server's own.
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		nc, err = tls.DialWithDialer(dialer, "tcp", address, config)
	} else {
		nc, err = dialer.Dial("tcp", address)
	}
	if err != nil {
		return nil, err
	}
	c := newConnection(l, nc)
	c.out = frames.AppendGreeting(c.out)
	return c, nil
}
