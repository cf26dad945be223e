package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	chunks   = 20      // messages of a stream
	oversize = 5 << 20 // octets, more than the server takes
)

// client is one connection.
type client struct {
	channel *grpc.ClientConn
	sent    *tally

	mu     sync.Mutex
	socket net.Conn // guarded by mu
	killed bool     // owned by who makes the bursts
}

func dial(s *server, secure bool, sent *tally) *client {
	c := &client{sent: sent}
	address, creds := s.Plain, insecure.NewCredentials()
	if secure {
		address, creds = s.Secure, credentials.NewClientTLSFromCert(s.pool, "")
	}
	channel, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.socket = nc
			return nc, err
		}))
	if err != nil {
		panic(err) // the options are wrong
	}
	c.channel = channel
	return c
}

func (c *client) close() { c.channel.Close() }

// kill drops the connection as a client does that dies: with a TCP reset.
func (c *client) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if tcp, ok := c.socket.(*net.TCPConn); ok {
		tcp.SetLinger(0)
		tcp.Close()
	}
}

// burst makes calls of one sort, plain or disturbed, all at a time, and waits for their ends.
func (c *client) burst(random *rand.Rand, calls int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if random.IntN(8) > 0 {
		for range calls {
			call := plainCalls[random.IntN(len(plainCalls))]
			seed := random.Uint64()
			wg.Go(func() { call(c, rand.New(rand.NewPCG(seed, 2))) })
		}
		return
	}
	how := random.IntN(20)
	for range calls {
		after := time.Duration(1+random.IntN(20)) * time.Millisecond
		wg.Go(func() { c.disturbed(how%2 == 0, after) })
	}
	if how == 19 {
		time.Sleep(10 * time.Millisecond)
		c.kill()
	}
}

// disturbed is a call that never ends by itself: it is cancelled, which is a RST_STREAM, or its deadline passes.
func (c *client) disturbed(cancelled bool, after time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	if cancelled {
		time.AfterFunc(after, cancel)
	} else {
		ctx, cancel = context.WithTimeout(context.Background(), after)
	}
	defer cancel()
	c.stream(ctx, "Slow", bytes.Repeat([]byte("s"), 100), nil)
}

// plainCalls are calls whose outcome is known, and how often each is made. Those that cost much, for their size or for
// compression, are rare: they would be all that there is time for.
var plainCalls = weighted([]weightedCall{
	{200, func(c *client, random *rand.Rand) { c.unary("Echo", content(random, 200), codes.OK) }},
	{100, func(c *client, random *rand.Rand) { c.unary("Inline", content(random, 200), codes.OK) }},
	{20, func(c *client, random *rand.Rand) { c.unary("Echo", content(random, 5_000), codes.OK) }},
	{2, func(c *client, random *rand.Rand) {
		c.unary("Echo", content(random, 5_000), codes.OK, grpc.UseCompressor(gzip.Name))
	}},
	{40, func(c *client, random *rand.Rand) {
		code := codes.Code(1 + random.IntN(16))
		c.unary("Fail", []byte{byte(code)}, code)
	}},
	{20, func(c *client, random *rand.Rand) { c.unary("Unknown", content(random, 200), codes.Unimplemented) }},
	{1, func(c *client, random *rand.Rand) { c.unary("Echo", make([]byte, oversize), codes.ResourceExhausted) }},
	{40, streamCall("Download", 200)},
	{4, streamCall("Download", 20_000)},
	{40, streamCall("Upload", 200)},
	{4, streamCall("Upload", 20_000)},
	{40, streamCall("Chat", 200)},
	{4, streamCall("Chat", 2_000)},
	{1, streamCall("Chat", 5_000, grpc.UseCompressor(gzip.Name))},
})

type call func(c *client, random *rand.Rand)

type weightedCall struct {
	weight int
	call   call
}

// weighted has each call as many times as its weight says.
func weighted(calls []weightedCall) (all []call) {
	for _, c := range calls {
		all = append(all, slices.Repeat([]call{c.call}, c.weight)...)
	}
	return all
}

func streamCall(method string, most int, options ...grpc.CallOption) call {
	return func(c *client, random *rand.Rand) {
		c.stream(context.Background(), method, content(random, most), options)
	}
}

// content is text of a random length that can be compressed to about half.
func content(random *rand.Rand, most int) []byte {
	b := make([]byte, 1+random.IntN(most))
	for i := range b {
		b[i] = "0123456789abcdef"[random.IntN(16)]
	}
	return b
}

func path(method string) string { return "/soak.Soak/" + method }

// unary makes a unary call and checks its outcome.
func (c *client) unary(method string, request []byte, want codes.Code, options ...grpc.CallOption) {
	var reply payload
	err := c.channel.Invoke(context.Background(), path(method), wrapperspb.Bytes(request), &reply, options...)
	if got := status.Code(err); got != want {
		c.sent.wrong("%s: %v, want %v", method, err, want)
	} else if err == nil && !bytes.Equal(reply.GetValue(), request) {
		c.sent.wrong("%s: %d octets came back of %d", method, len(reply.GetValue()), len(request))
	}
	c.sent.add(path(method), status.Code(err))
}

// stream makes a call of any other cardinality, and checks what comes back.
func (c *client) stream(ctx context.Context, method string, request []byte, options []grpc.CallOption) {
	desc := &grpc.StreamDesc{ServerStreams: method != "Upload", ClientStreams: method != "Download"}
	received, last, err := c.exchange(ctx, desc, method, request, options)
	code := status.Code(err)
	switch {
	case method == "Slow":
		if code != codes.Canceled && code != codes.DeadlineExceeded && (code != codes.Unavailable || !c.killedByNow()) {
			c.sent.wrong("%s: %v", method, err)
		}
	case err != nil:
		c.sent.wrong("%s: %v", method, err)
	case method == "Upload" && string(last) != strconv.Itoa(chunks*len(request)), method != "Upload" && (received != chunks || !bytes.Equal(last, request)):
		c.sent.wrong("%s: %d messages came back, the last of %d octets", method, received, len(last))
	}
	c.sent.add(path(method), code)
}

func (c *client) killedByNow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

// exchange sends and receives what the method is about, and returns the last message and why the stream ended.
func (c *client) exchange(ctx context.Context, desc *grpc.StreamDesc, method string, request []byte, options []grpc.CallOption) (received int, last []byte, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.channel.NewStream(ctx, desc, path(method), options...)
	if err != nil {
		return 0, nil, err
	}
	count := chunks
	if !desc.ClientStreams {
		count = 1
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	sender.Go(func() {
		for range count {
			if stream.SendMsg(wrapperspb.Bytes(request)) != nil {
				return // RecvMsg knows why
			}
		}
		stream.CloseSend()
	})
	for {
		var reply payload
		if err := stream.RecvMsg(&reply); errors.Is(err, io.EOF) {
			return received, last, nil
		} else if err != nil {
			return received, last, err
		}
		received++
		last = reply.GetValue()
		if !desc.ServerStreams {
			return received, last, nil
		}
	}
}

// tally counts what calls came to.
type tally struct {
	mu      sync.Mutex
	byCode  map[string]map[codes.Code]uint64 // by path
	sent    uint64
	strange []string // what should not have been
}

func newTally() *tally { return &tally{byCode: map[string]map[codes.Code]uint64{}} }

func (t *tally) add(path string, code codes.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byCode[path] == nil {
		t.byCode[path] = map[codes.Code]uint64{}
	}
	t.byCode[path][code]++
	t.sent++
}

// wrong notes what is wrong with a call; the first hundred will do.
func (t *tally) wrong(format string, arguments ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.strange) < 100 {
		t.strange = append(t.strange, fmt.Sprintf(format, arguments...))
	}
}
