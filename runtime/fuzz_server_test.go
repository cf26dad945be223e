package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// fuzzLimit is the largest message that the servers in FuzzServer take.
const fuzzLimit = 100_000

// fuzzMethods are methods that do all that handlers do.
func fuzzMethods() handlers {
	download := UnaryStream(func(ctx context.Context, request *raw, responses ResponseStream[raw]) error {
		SetCompression(ctx, Gzip)
		for range len(request.Data) {
			if err := responses.Send(&raw{Data: make([]byte, 9_000)}); err != nil {
				return err
			}
		}
		return nil
	})
	chat := StreamStream(func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
		for request, err := range requests.All() {
			if err != nil {
				return err
			}
			if err := responses.Send(request); err != nil {
				return err
			}
		}
		return nil
	})
	return handlers{
		"Echo":     echo(),
		"Inline":   echo().WithExecutor(Inline),
		"Block":    blockUntilOver(),
		"Upload":   drainAndCount(cardinality{name: "StreamUnary", requestStreaming: true}),
		"Download": download,
		"Chat":     chat,
		"Deaf": StreamUnary(func(ctx context.Context, _ RequestIterator[raw]) (*raw, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Panic": UnaryUnary(func(context.Context, *raw) (*raw, error) { panic("on purpose") }),
		"Fail": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			SendInitialMetadata(ctx, InvocationMetadata(ctx))
			SetTrailingMetadata(ctx, InvocationMetadata(ctx))
			return nil, status.Error(codes.Code(len(request.Data)), string(request.Data))
		}),
	}
}

var fuzzPaths = [...]string{
	"/t.S/Echo", "/t.S/Inline", "/t.S/Block", "/t.S/Upload", "/t.S/Download", "/t.S/Chat", "/t.S/Deaf", "/t.S/Panic", "/t.S/Fail",
	"/t.S/Unknown", "/", "*",
}

// fuzzFields are what a request can have beside what each has; the bits of an octet choose.
var fuzzFields = [8][2]string{
	{"grpc-timeout", "50m"},
	{"grpc-encoding", "gzip"},
	{"grpc-accept-encoding", "identity,deflate,gzip"},
	{"a-bin", "AP8="},
	{"b", "text"},
	{"grpc-encoding", "snappy"},
	{"!content-type", "text/plain"},
	{"grpc-timeout", "0n"},
}

// fuzzPeer plays a script: of each step an octet says what, one on which stream, one how long its argument is.
type fuzzPeer struct {
	t        testing.TB
	s        *testServer
	nc       net.Conn
	next     uint32
	requests int             // HEADERS that may have become a request
	open     map[uint32]bool // streams whose end the server owes
	stopped  bool            // Stop was called
	resized  bool            // SETTINGS may have changed the windows
	wg       sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	output bytes.Buffer
}

func (p *fuzzPeer) play(script []byte) {
	for len(script) >= 3 {
		op, on, n := script[0], script[1], min(int(script[2]), len(script)-3)
		argument := script[3:][:n]
		script = script[3+n:]
		p.step(op%16, on, argument)
	}
}

func (p *fuzzPeer) step(op, on byte, argument []byte) {
	id := 2*uint32(on) + 1
	w := newFramePeer(p.t, p.nc)
	switch op {
	case 0, 1: // a request; of 1 there is nothing more
		p.request(w, on, argument, op == 1)
	case 2:
		w.WriteData(id, false, lpm(0, string(argument)))
	case 3:
		w.WriteData(id, true, lpm(0, string(argument)))
	case 4:
		w.WriteData(id, len(argument) == 0, argument)
	case 5:
		w.WriteData(id, false, lpm(1, compress(p.t, Gzip, strings.Repeat(string(argument), 1000))))
	case 6:
		w.WriteData(id, false, make([]byte, 64*len(argument)))
	case 7:
		w.WriteFrame(h2test.RSTStream, 0, id, h2test.Cancel)
		delete(p.open, id)
	case 8:
		w.WriteWindowUpdate(id, 1<<(len(argument)%31))
	case 9:
		w.WriteWindowUpdate(0, 1<<(len(argument)%31))
	case 10:
		p.resized = true
		w.WriteSettings(h2test.InitialWindowSize, uint32(len(argument))<<(on%24))
	case 11:
		w.WriteFrame(h2test.Ping, 1-on%2, 0, "shutdown")
	case 12:
		w.WriteFrame(on%16, on/16, p.next, argument)
		p.requests++
		p.resized = true
	case 13:
		synctest.Wait()
		p.check()
	case 14:
		time.Sleep(time.Duration(len(argument)) * time.Millisecond)
	case 15:
		// An RPC that comes while the grace ends may meet the end of the connection instead of a status.
		p.stopped = true
		if on%2 == 0 {
			clear(p.open)
		} else {
			synctest.Wait()
		}
		p.s.Stop(time.Duration(on) * time.Millisecond)
	}
}

// request sends a field block: the first octet of the argument says which method.
func (p *fuzzPeer) request(w framePeer, more byte, argument []byte, endStream bool) {
	path := fuzzPaths[0]
	if len(argument) > 0 {
		path = fuzzPaths[int(argument[0])%len(fuzzPaths)]
	}
	var fields []string
	for i, field := range fuzzFields {
		if more&(1<<i) != 0 {
			fields = append(fields, field[0], field[1])
		}
	}
	if len(argument) > 1 {
		fields = append(fields, "c", strings.Repeat("c", 10*len(argument)))
	}
	p.requests++
	if !p.stopped && (more&(1<<6) == 0 || endStream) { // or it is let finish its request, for it does not speak gRPC
		p.open[p.next] = true
	}
	w.open(p.next, endStream, path, fields...)
	p.next += 2
}

// check looks at what the server keeps while nothing happens.
func (p *fuzzPeer) check() {
	for _, c := range p.s.clients.all() {
		rpcs := c.rpcs()
		inspected := 0
		for info := range p.s.RPCs(c.id) {
			if inspected++; info.State == "" || info.ID.Connection != c.id {
				p.t.Errorf("an RPC is inspected as %+v", info)
			}
		}
		if n := c.info().Active; inspected < n {
			p.t.Errorf("%d RPCs are active, and %d are found", n, inspected)
		}
		if n := c.account.Count(budget.Handlers); n > 2*int64(p.s.options.MaxConcurrentStreams) || p.s.active.Load() < 0 {
			p.t.Errorf("%d RPCs run on a connection, and %d in all", n, p.s.active.Load())
		}
		for _, r := range rpcs {
			r.mu.Lock()
			kept := cap(r.in.Data())
			for _, m := range r.requests.waiting {
				kept += cap(m.data)
			}
			r.mu.Unlock()
			if kept > 2*65_535+2*fuzzLimit {
				p.t.Errorf("%d octets are kept for %s", kept, r.def.path)
			}
		}
	}
}

// read keeps what the server sends.
func (p *fuzzPeer) read() {
	b := make([]byte, 32<<10)
	for {
		n, err := p.nc.Read(b)
		p.mu.Lock()
		p.output.Write(b[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// fuzzAnswer is what came on a stream.
type fuzzAnswer struct {
	blocks       int
	http, status string
	content      []byte
	ended, reset bool
}

// answers reads what the server has sent, and insists on its being what gRPC says. Streams that were never served owe
// no end.
func (p *fuzzPeer) answers() map[uint32]*fuzzAnswer {
	p.t.Helper()
	answers := make(map[uint32]*fuzzAnswer)
	framer := http2.NewFramer(nil, &p.output)
	framer.ReadMetaHeaders = hpack.NewDecoder(0, nil)
	for {
		f, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the connection may have been cut
			return answers
		}
		if err != nil {
			p.t.Fatalf("the server has sent what is no HTTP/2: %v", err)
		}
		id := f.Header().StreamID
		if answers[id] == nil {
			answers[id] = &fuzzAnswer{}
		}
		p.take(answers[id], f)
	}
}

func (p *fuzzPeer) take(a *fuzzAnswer, f http2.Frame) {
	p.t.Helper()
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		if a.ended || a.reset || a.status != "" {
			p.t.Fatalf("a field block behind the end of stream %d", f.StreamID)
		}
		a.blocks++
		a.ended = f.StreamEnded()
		for _, field := range f.Fields {
			switch field.Name {
			case ":status":
				a.http += field.Value
			case "grpc-status":
				a.status += field.Value
			}
		}
		n, err := strconv.Atoi(a.status)
		if a.ended && a.http == "200" && (err != nil || n < 0 || n > 16) || !a.ended && a.status != "" {
			p.t.Fatalf("stream %d: grpc-status %q with END_STREAM %v", f.StreamID, a.status, a.ended)
		}
	case *http2.DataFrame:
		if a.ended || a.reset || a.blocks != 1 || f.StreamEnded() && a.http == "200" {
			p.t.Fatalf("DATA on stream %d: %+v", f.StreamID, *a)
		}
		a.content = append(a.content, f.Data()...)
		a.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		a.reset = true
	case *http2.GoAwayFrame:
		for id := range p.open {
			if id > f.LastStreamID || f.ErrCode != http2.ErrCodeNo {
				delete(p.open, id)
			}
		}
	}
}

// checkContent reads the messages of a stream that has ended well.
func (a *fuzzAnswer) checkContent(t testing.TB, id uint32) {
	t.Helper()
	for rest := a.content; len(rest) > 0; {
		if len(rest) < 5 || rest[0] > 1 || int64(binary.BigEndian.Uint32(rest[1:])) > int64(len(rest)-5) {
			t.Fatalf("stream %d ended with OK in the middle of a message", id)
		}
		rest = rest[5+binary.BigEndian.Uint32(rest[1:]):]
	}
}

// FuzzServer has a peer of any sort talk to a whole server. Each stream has one end, each RPC is counted once and observed
// to end once, and in the end nothing is left.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0}, []byte("\x00\x00\x00\x03\x00\x02hi\x0d\x00\x00"))
	f.Add([]byte{1}, []byte("\x00\x07\x01\x03\x05\x00\x04zzzz\x02\x00\x01a\x03\x00\x01b\x00\x00\x01\x04\x03\x01\x14aaaaaaaaaaaaaaaaaaaa\x09\x00\x14aaaaaaaaaaaaaaaaaaaa"))
	f.Add([]byte{2}, []byte("\x00\x01\x01\x02\x03\x00\x01x\x00\x00\x01\x06\x02\x01\x01y\x0e\x00\x32--------------------------------------------------\x0d\x00\x00"))
	f.Add([]byte{3}, []byte("\x00\x00\x01\x05\x02\x00\x03one\x0f\x64\x00\x02\x00\x03two\x0b\x00\x00\x03\x00\x00\x0d\x00\x00"))
	f.Add([]byte{4}, []byte("\x01\x20\x01\x00\x01\x40\x01\x00\x01\x80\x01\x00\x00\x18\x01\x08\x03\x03\x05fails\x01\x00\x01\x09\x00\x00\x01\x07\x03\x05\x00\x0d\x00\x00"))
	f.Add([]byte{5}, []byte("\x00\x00\x01\x01\x03\x00\x01a\x00\x00\x01\x05\x06\x01\xff"+strings.Repeat("y", 255)+"\x07\x01\x00\x0a\x04\x01z\x0d\x00\x00"))
	f.Fuzz(func(t *testing.T, how, script []byte) {
		synctest.Test(t, func(t *testing.T) { serveScript(t, how, script) })
	})
}

func serveScript(t *testing.T, how, script []byte) {
	options := ServerOptions{MaxReceiveMessageBytes: fuzzLimit, MaxConcurrentStreams: 20, MaxMetadataBytes: 1000}
	mode := byte(0)
	if len(how) > 0 {
		mode = how[0]
	}
	if mode&1 != 0 {
		options.Workers = 2
	}
	if mode&2 != 0 {
		options.MaxConcurrentRPCs = 5
	}
	if mode&4 != 0 {
		options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }}
	}
	if mode&8 != 0 {
		options.Compression = Deflate
	}
	observed := &recorder{}
	if mode&32 == 0 {
		options.Observers = []Observer{observed}
	}
	s := newTestServer(t, options, fuzzMethods())
	p := &fuzzPeer{t: t, s: s, nc: s.listener.dial(), next: 1, open: map[uint32]bool{}}
	p.wg.Go(p.read)
	newFramePeer(t, p.nc).Preface()
	p.play(script)
	synctest.Wait()
	p.check()
	if mode&16 != 0 {
		p.nc.Close()
		synctest.Wait()
	}
	wantClosed(t, "the server's termination", s.Stop(0))
	p.nc.Close()
	p.wg.Wait()
	synctest.Wait()
	if stats := s.Stats(); stats.Active != 0 || stats.Queued != 0 || stats.Connections != 0 {
		t.Errorf("left: %+v", stats)
	}
	statuses := uint64(0)
	octets := 0
	answers := p.answers()
	for id, a := range answers {
		octets += len(a.content)
		if a.status != "" {
			statuses++
		}
		if a.status == "0" {
			a.checkContent(t, id)
		}
	}
	for id := range p.open {
		a := answers[id]
		blocked := a != nil && a.blocks == 1 && (p.resized || octets >= 65_535) // the response waits for flow-control window
		met := answers[0] != nil                                                // or the server stopped before it saw the connection
		if met && mode&16 == 0 && !blocked && (a == nil || !a.ended && !a.reset) {
			t.Errorf("stream %d has no end", id)
		}
	}
	observed.check(t)
	rpcs, refused := uint64(len(observed.rpcs())), uint64(len(observed.refusals()))
	if ended := counted(s.Stats()); mode&32 == 0 && (ended < rpcs || ended > rpcs+refused) {
		t.Errorf("%d requests are counted; %d RPCs and %d refusals were observed", ended, rpcs, refused)
	}
	if ended := counted(s.Stats()); ended < statuses || ended > uint64(p.requests) {
		t.Errorf("%d RPCs are counted; %d statuses were received, and %d requests sent", ended, statuses, p.requests)
	}
}

// counted is how many requests a server has counted.
func counted(stats ServerStats) (n uint64) {
	for _, method := range stats.Methods {
		for _, count := range method.Handled {
			n += count
		}
	}
	for _, count := range stats.Rejected {
		n += count
	}
	return n
}
