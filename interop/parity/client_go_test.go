package parity

import (
	"compress/zlib"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// goClient is grpc-go's client.
type goClient struct{ channels clientChannels }

// clientChannels are channels by the address they lead to.
type clientChannels map[string]*grpc.ClientConn

func (c *goClient) name() string { return "grpc-go" }

func (c *goClient) close() {
	for address := range c.channels {
		c.disconnect(nil, address)
	}
}

func (c *goClient) disconnect(_ testing.TB, address string) {
	if channel := c.channels[address]; channel != nil {
		channel.Close()
	}
	delete(c.channels, address)
}

func (c *goClient) channel(t testing.TB, to target) *grpc.ClientConn {
	t.Helper()
	if channel := c.channels[to.Address]; channel != nil {
		return channel
	}
	security := insecure.NewCredentials()
	if to.CA != "" {
		security = credentials.NewTLS(to.tls(t))
	}
	channel, err := grpc.NewClient(to.Address, grpc.WithTransportCredentials(security), grpc.WithStatsHandler(wireRecorder{}),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	c.channels[to.Address] = channel
	return channel
}

func (c *goClient) begin(t testing.TB, to target, what call) underWay {
	t.Helper()
	timeout := patience
	if what.Timeout > 0 {
		timeout = time.Duration(what.Timeout * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	if what.Timeout < 0 {
		ctx, cancel = context.WithCancel(context.Background())
	}
	md := metadata.MD{}
	for _, pair := range what.Metadata.metadata() {
		md.Append(pair.Key, pair.Value)
	}
	u := &goCall{cancelled: cancel, done: make(chan struct{}), read: make(chan struct{}, 1000), goOn: make(chan struct{})}
	ctx = metadata.NewOutgoingContext(context.WithValue(ctx, wireKey{}, u), md)
	var options []grpc.CallOption
	if what.Compression != "" {
		options = append(options, grpc.UseCompressor(what.Compression))
	}
	desc := &grpc.StreamDesc{ClientStreams: what.Arity.streamsRequests(), ServerStreams: what.Arity.streamsResponses()}
	stream, err := c.channel(t, to).NewStream(ctx, desc, what.Path, options...)
	if err != nil {
		u.end(nil, err)
		return u
	}
	u.sender.Go(func() { u.send(stream, what) })
	go u.receive(stream, what)
	return u
}

// goCall is an RPC under way.
type goCall struct {
	cancelled context.CancelFunc
	sender    sync.WaitGroup
	read      chan struct{} // gets a value for each message
	goOn      chan struct{} // closed when the rest may be read
	goOnOnce  sync.Once
	done      chan struct{} // closed when answer is complete
	answer    answer

	mu sync.Mutex
	// Guarded by mu.
	encoding string
	wire     []string
}

// send sends what it can: if sending fails, receiving tells why.
func (u *goCall) send(stream grpc.ClientStream, what call) {
	for n, request := range what.Requests {
		if what.Lockstep && n > 0 {
			select {
			case <-u.read:
			case <-u.done:
				return
			}
		}
		if stream.SendMsg(request.payload()) != nil {
			return
		}
	}
	if !what.Open {
		_ = stream.CloseSend()
	}
}

func (u *goCall) receive(stream grpc.ClientStream, what call) {
	for {
		var data []byte
		if err := stream.RecvMsg(&data); err != nil {
			u.end(stream, err)
			return
		}
		u.answer.Messages = append(u.answer.Messages, describe(data))
		u.read <- struct{}{}
		if len(u.answer.Messages) == what.Read {
			<-u.goOn
		}
		if !what.Arity.streamsResponses() { // RecvMsg has waited for the status as well
			u.end(stream, io.EOF)
			return
		}
	}
}

func (u *goCall) end(stream grpc.ClientStream, err error) {
	if !errors.Is(err, io.EOF) {
		st := status.Convert(err)
		u.answer.Code, u.answer.Details = st.Code(), st.Message()
	}
	if stream != nil {
		initial, _ := stream.Header()
		u.answer.Initial, u.answer.Trailing = fromMD(initial), fromMD(stream.Trailer())
	}
	close(u.done)
}

func fromMD(md metadata.MD) pairs {
	var p pairs
	for key, values := range md {
		for _, value := range values {
			if strings.HasSuffix(key, "-bin") {
				value = hex.EncodeToString([]byte(value))
			}
			p = append(p, [2]string{key, value})
		}
	}
	sort.SliceStable(p, func(i, j int) bool { return p[i][0] < p[j][0] })
	return p
}

func (u *goCall) cancel(testing.TB) {
	u.cancelled()
	u.goOnOnce.Do(func() { close(u.goOn) })
}

func (u *goCall) message(t testing.TB) {
	t.Helper()
	select {
	case <-u.read:
	case <-time.After(patience):
		t.Fatal("no further message")
	}
}

func (u *goCall) over(testing.TB) bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

func (u *goCall) result(testing.TB) answer {
	u.goOnOnce.Do(func() { close(u.goOn) })
	<-u.done
	u.cancelled()
	u.sender.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer.Wire = u.wire
	return u.answer
}

// rawCodec passes messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string                          { return "proto" }
func (rawCodec) Marshal(message any) ([]byte, error)   { return message.([]byte), nil }
func (rawCodec) Unmarshal(data []byte, into any) error { *into.(*[]byte) = data; return nil }

// wireRecorder notes how messages came.
type wireRecorder struct{}

type wireKey struct{}

func (wireRecorder) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (wireRecorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (wireRecorder) HandleConn(context.Context, stats.ConnStats)                       {}

func (wireRecorder) HandleRPC(ctx context.Context, s stats.RPCStats) {
	u, ok := ctx.Value(wireKey{}).(*goCall)
	if !ok {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch s := s.(type) {
	case *stats.InHeader:
		u.encoding = s.Compression
	case *stats.InPayload:
		how := "identity"
		if s.CompressedLength != s.Length {
			how = u.encoding
		}
		u.wire = append(u.wire, how)
	}
}

// zlibCompressor is "deflate", which grpc-go does not bring.
type zlibCompressor struct{}

func (zlibCompressor) Name() string { return "deflate" }

func (zlibCompressor) Compress(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }

func (zlibCompressor) Decompress(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }

func init() {
	encoding.RegisterCompressor(zlibCompressor{})
	_ = gzip.Name // its init registers it
}
