package parity

import (
	"net"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// soon is a timeout in seconds that is meant to pass.
const soon = 0.2

// over is what a handler does that waits for the end of its RPC from outside, and tells the test about it.
var over = script{{Do: "callback", Text: "called"}, signal("began"), do("until_over"), signal("over"), doText("late_callback", "refused"), reply("too late")}

// wantOver waits for what a handler with the script over has to tell.
func (p *play) wantOver() {
	p.Helper()
	for _, event := range []string{"called", "over", "refused"} {
		p.await(event)
	}
}

// expire makes an RPC whose deadline passes after its handler has begun and so many messages have come. On a busy machine,
// that takes more than one attempt.
func (p *play) expire(c call, messages int) answer {
	p.Helper()
	for c.Timeout = soon; ; c.Timeout *= 2 {
		have := p.call(c)
		if p.happened("began") && len(have.Messages) == messages || c.Timeout > patience.Seconds() {
			return have
		}
	}
}

var (
	expired     = failed(codes.DeadlineExceeded, "*") // the client and the server have a clock each
	cancelled   = failed(codes.Canceled, "*")
	unavailable = failed(codes.Unavailable, "*")
	exhausted   = failed(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
)

const endOrError = "defect: whether a request stream that is cut off ends or fails is a race, and half a stream can look whole"

// endRows are about RPCs that end from outside their handlers.
var endRows = []row{
	{name: "deadline while the handler runs", do: over, play: func(p *play) {
		p.check(p.expire(call{}, 0), expired, nil)
		p.wantOver()
	}},
	{name: "deadline after responses", arities: streamResponses, do: append(script{send("1"), send("2")}, over...), play: func(p *play) {
		p.check(p.expire(call{}, 2), failed(codes.DeadlineExceeded, "*", "1", "2"), nil)
		p.wantOver()
	}},
	{
		name: "deadline while the handler waits for a request", arities: streamRequests, why: endOrError,
		do: script{do("recv"), signal("began"), doText("recv_fails", "failed"), reply("x")}, play: func(p *play) {
			p.check(p.expire(call{Open: true}, 0), expired, nil)
			p.await("failed")
		},
	},
	{name: "the handler knows its deadline", do: script{{Do: "tell_deadline", N: 21}}, call: call{Timeout: 20}, want: ok("some")},
	{name: "the handler has no deadline", do: script{{Do: "tell_deadline", N: 21}}, call: call{Timeout: -1}, want: ok("none")},
	{name: "deadline in the queue, one request", on: "workers1", arities: unaryRequests, play: expiresInQueue},
	{
		name: "deadline in the queue, a stream of requests", on: "workers1", arities: streamRequests, play: expiresInQueue,
		why: "defect: the handler is called although its RPC is over",
	},
	{name: "the client cancels", do: over, play: func(p *play) {
		u := p.begin(call{}, p.row.do)
		p.await("began")
		u.cancel(p)
		p.check(p.result(u), cancelled, nil)
		p.wantOver()
	}},
	{
		name: "the client cancels while the handler waits for a request", arities: streamRequests, why: endOrError,
		// The first request has come when the test goes on: a client that cancels before that may not have sent it.
		do: script{do("recv"), signal("began"), doText("recv_fails", "failed"), reply("x")},
		play: func(p *play) {
			u := p.begin(call{Open: true}, p.row.do)
			p.await("began")
			u.cancel(p)
			p.check(p.result(u), cancelled, nil)
			p.await("failed")
		},
	},
	{name: "the client cancels after the first response", arities: streamResponses, do: append(script{send("1")}, over...), play: func(p *play) {
		u := p.begin(call{}, p.row.do)
		u.message(p)
		p.await("began")
		u.cancel(p)
		p.check(p.result(u), failed(codes.Canceled, "*", "1"), nil)
		p.wantOver()
	}},
	{
		name: "the client reads a part and leaves", arities: streamResponses, do: script{{Do: "callback", Text: "called"}, {Do: "repeat", N: 1000, Size: 10000}},
		play: func(p *play) {
			u := p.begin(call{Read: 1}, p.row.do)
			u.message(p)
			u.cancel(p)
			if have := p.result(u); have.Code != codes.Canceled {
				p.Errorf("the answer is %v", have)
			}
			p.await("called")
		},
	},
	{name: "the client closes its channel", do: over, play: func(p *play) {
		i := p.fresh("")
		u := p.beginAt(i, call{}, p.row.do)
		p.await("began")
		p.client.disconnect(p, i.target().Address)
		have := p.result(u)
		p.check(have, failed(have.Code, "*"), nil)
		if have.Code != codes.Canceled && have.Code != codes.Unavailable {
			p.Errorf("the answer is %v", have)
		}
		p.wantOver()
	}},
	{
		name: "a callback that raises is no reason to skip the next", do: script{do("bad_callback"), {Do: "callback", Text: "called"}, reply("x")},
		play: func(p *play) {
			p.check(p.call(call{}), ok("x"), nil)
			p.await("called")
		},
	},
	{name: "the handler is active until its end", do: script{do("tell_active")}, want: ok("true")},
}

// expiresInQueue has an RPC wait for the only worker until its deadline has passed. The client's clock and the server's are
// not the same: that the client has given up says only that the server is about to, so a handler that is called once is
// tried again.
func expiresInQueue(p *play) {
	for attempt := range 5 {
		n := strconv.Itoa(attempt)
		busy := p.begin(call{}, script{signal("began" + n), await("go" + n), reply("first")})
		p.await("began" + n)
		p.check(p.result(p.begin(call{Timeout: soon}, script{signal("called" + n), reply("second")})), expired, nil)
		p.signal("go" + n)
		p.check(p.result(busy), ok("first"), nil)
		p.check(p.result(p.begin(call{}, script{reply("third")})), ok("third"), nil)
		if !p.happened("called" + n) {
			return
		}
	}
	p.Error("the handler was called although its deadline had passed before its turn came")
}

func TestParity_Ends(t *testing.T) { runRows(t, endRows) }

// eventually makes an RPC until it succeeds: that there is room again is nothing that a client is told.
func (p *play) eventually(i instance, want answer, s script) {
	p.Helper()
	for deadline := time.Now().Add(patience); ; {
		have := p.result(p.beginAt(i, call{}, s))
		if have.Code != codes.ResourceExhausted || time.Now().After(deadline) {
			p.check(have, want, nil)
			return
		}
	}
}

// limitRows are about how many RPCs there may be.
var limitRows = []row{
	{name: "the limit counts until the handler returns", play: func(p *play) {
		i := p.fresh("limit1")
		first := p.beginAt(i, call{}, script{signal("began"), do("until_over"), signal("over"), await("go"), reply("late")})
		p.await("began")
		p.check(p.result(p.beginAt(i, call{}, script{reply("x")})), exhausted, nil)
		p.check(p.result(p.beginAt(i, call{Path: "/parity.P/unknown"}, nil)), notFound, nil)
		first.cancel(p)
		p.check(p.result(first), cancelled, nil)
		p.await("over")
		p.check(p.result(p.beginAt(i, call{}, script{reply("x")})), exhausted, nil)
		p.signal("go")
		p.eventually(i, ok("again"), script{reply("again")})
	}},
	{name: "two waves", play: func(p *play) {
		i := p.fresh("limit3")
		for _, wave := range []string{"first", "second"} {
			var all []underWay
			for _, name := range []string{"1", "2", "3"} {
				var u underWay
				for { // of the wave before, the last may not have been counted off yet
					u = p.beginAt(i, call{}, script{signal(wave + name), await(wave), reply(name)})
					if p.began(u, wave+name) {
						break
					}
				}
				all = append(all, u)
			}
			p.check(p.result(p.beginAt(i, call{}, script{reply("x")})), exhausted, nil)
			p.signal(wave)
			for n, u := range all {
				p.check(p.result(u), ok([]string{"1", "2", "3"}[n]), nil)
			}
		}
		p.eventually(i, ok("again"), script{reply("again")})
	}},
	{name: "one stream at a time", play: func(p *play) {
		i := p.fresh("streams1")
		first := p.beginAt(i, call{}, script{signal("began"), await("go"), reply("1")})
		p.await("began")
		second := make(chan answer)
		other := p.client
		if by, ok := other.(*goClient); ok { // it begins a stream only when there is room
			go func() { second <- p.result(p.beginBy(by, i.target(), call{}, script{reply("2")})) }()
		} else {
			u := p.beginAt(i, call{}, script{reply("2")})
			go func() { second <- p.result(u) }()
		}
		p.signal("go")
		p.check(p.result(first), ok("1"), nil)
		p.check(<-second, ok("2"), nil)
	}},
}

// began reports whether the handler of an RPC has begun; if not, the RPC was refused.
func (p *play) began(u underWay, event string) bool {
	p.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if p.happened(event) {
			return true
		}
		if u.over(p) {
			return p.happened(event)
		}
	}
	p.Fatal("the RPC neither begins nor is refused")
	return false
}

func TestParity_Limits(t *testing.T) { runRows(t, limitRows) }

// closed waits until a port takes no more connections: a server that stops may serve those that have come to it before.
func (p *play) closed(address string) {
	p.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		nc.Close()
	}
	p.Fatal("the port is still open")
}
