package parity

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// notCalled are the rows that cannot be played without a server and a client, and why. Those that ask for a server of their
// own, by its options or by starting one, and those about dispatch are not played either.
var notCalled = map[string]string{
	"cancel_after_begin":                                       waits,
	"cancel_after_first_response":                              waits,
	"deadline while the handler waits for a request":           waits,
	"the client cancels while the handler waits for a request": waits,
	"the client reads a part and leaves":                       waits,
	"a callback that raises is no reason to skip the next":     "decision: a callback that panics ends the test's program",
}

const waits = "decision: the streams of package runtimetest do not wait for a client"

// TestParity_Runtimetest plays the rows by calling the servicer's methods as tests do, with contexts and streams of package
// runtimetest. The answers have to be those that grpc-go's client gets from a server.
func TestParity_Runtimetest(t *testing.T) {
	c := &caller{all: t, events: newEvents()}
	called := &stage{client: c, server: c, started: map[string]instance{}}
	wire := &stage{client: &goClient{channels: clientChannels{}}, server: &goServer{newCertificates(t), newEvents()}, started: map[string]instance{}}
	t.Cleanup(wire.client.close)
	for _, rows := range [][]row{
		dispatchRows, outcomeRows, statusRows, metadataRows, compressionRows, endRows, interopRows, peerRows, earlyRows(), reassemblyRows(),
	} {
		for _, r := range rows {
			if r.on != "" || r.call.Path != "" || notCalled[r.name] != "" {
				continue
			}
			for _, a := range r.playedBy() {
				t.Run(r.name+"/"+string(a), func(t *testing.T) {
					p := &play{T: t, all: c.all, stage: called, row: r, arity: a, run: fmt.Sprint(t.Name(), runs.Add(1))}
					if r.play != nil {
						r.play(p)
						c.played++
						return
					}
					have := p.call(r.call)
					p.stage = wire
					want := p.call(r.call)
					if r.want.Details == "*" {
						want.Details = "*"
					}
					have.check(t, want)
					c.played++
				})
			}
		}
	}
	if some := strings.Contains(flag.Lookup("test.run").Value.String(), "/"); !some && c.played < 300 {
		t.Errorf("only %d rows were played", c.played)
	}
}

// caller stands for a client and a server: it calls the servicer's methods.
type caller struct {
	all    testing.TB
	events *events
	played int
}

func (*caller) name() string                           { return "runtimetest" }
func (*caller) disconnect(testing.TB, string)          {}
func (*caller) close()                                 {}
func (c *caller) signal(_ testing.TB, name string)     { c.events.signal(name) }
func (c *caller) happened(_ testing.TB, n string) bool { return c.events.happened(n) }

func (c *caller) await(t testing.TB, name string) {
	t.Helper()
	if !c.events.await(name) {
		t.Fatalf("in vain waited for: %s", name)
	}
}

// start is called once for all rows, and by those that need a server of their own.
func (c *caller) start(t testing.TB, _ string) instance {
	if t != c.all {
		t.Skip("the row is about a server")
	}
	return &goInstance{}
}

// begin calls the method that the client asks for.
func (c *caller) begin(t testing.TB, _ target, what call) underWay {
	t.Helper()
	if what.Path != "/parity.P/"+string(what.Arity) {
		t.Skip("the row is about dispatch")
	}
	rpc := runtimetest.RPC{
		Method: what.Path, InvocationMetadata: what.Metadata.metadata(), Timeout: patience,
		Peer: &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, LocalAddr: &net.TCPAddr{}},
	}
	if what.Timeout != 0 {
		rpc.Timeout = max(0, time.Duration(what.Timeout*float64(time.Second)))
	}
	ctx, recorder := runtimetest.NewContext(context.Background(), rpc)
	u := &directCall{
		servicer: &servicer{events: c.events}, arity: what.Arity, ctx: ctx, recorder: recorder,
		requests:  &runtimetest.Requests[raw]{Recorder: recorder},
		responses: &runtimetest.Responses[raw]{Recorder: recorder},
		sent:      make(chan struct{}, 1000), done: make(chan struct{}),
	}
	for _, request := range what.Requests {
		u.requests.Messages = append(u.requests.Messages, &raw{Data: request.payload()})
	}
	go u.run()
	return u
}

// directCall is a call of a method under way.
type directCall struct {
	servicer  *servicer
	arity     arity
	ctx       context.Context
	recorder  *runtimetest.Recorder
	requests  *runtimetest.Requests[raw]
	responses *runtimetest.Responses[raw]
	sent      chan struct{} // gets a value for each response
	done      chan struct{} // closed when answer is complete
	answer    answer
}

func (u *directCall) run() {
	defer close(u.done)
	response, err := u.call()
	if u.arity.streamsResponses() {
		err = u.recorder.Return(nil, err)
		for _, sent := range u.responses.Sent() {
			u.answer.Messages = append(u.answer.Messages, describe(sent.Data))
		}
	} else if err = u.recorder.Return(response, err); err == nil {
		u.answer.Messages = []string{describe(response.Data)}
	}
	u.answer.Code, u.answer.Details = status.Code(err), status.Convert(err).Message()
	initial, _ := u.recorder.InitialMetadata()
	u.answer.Initial, u.answer.Trailing = pairsFrom(initial), pairsFrom(u.recorder.TrailingMetadata())
}

// call calls the method. A panic is the test's own, which knows what a server makes of it.
func (u *directCall) call() (response *raw, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = status.Error(codes.Unknown, "Exception calling application: "+fmt.Sprint(reason))
		}
	}()
	next := u.requests.Next
	if !u.arity.streamsRequests() {
		next = only(u.requests.Messages[0])
	}
	if u.arity.streamsResponses() {
		return nil, u.servicer.play(u.ctx, next, u.send)
	}
	return u.servicer.unaryResponse(u.ctx, next)
}

func (u *directCall) send(response *raw) error {
	err := u.responses.Send(response)
	if err == nil {
		u.sent <- struct{}{}
	}
	return err
}

func (u *directCall) cancel(testing.TB) { u.recorder.End() }

func (u *directCall) message(t testing.TB) {
	t.Helper()
	select {
	case <-u.sent:
	case <-time.After(patience):
		t.Fatal("no further message")
	}
}

func (u *directCall) over(testing.TB) bool { return u.ctx.Err() != nil }

func (u *directCall) result(testing.TB) answer {
	<-u.done
	return u.answer
}
