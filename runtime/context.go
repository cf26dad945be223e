package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

// errNoRPC says that a context is not that of an RPC, nor made from one.
var errNoRPC = errors.New("gogreeter: the context is not that of an RPC; use the one that the handler was called with")

// rpcKey is the key under which a context made from an RPC's finds the RPC.
type rpcKey struct{}

func rpcOf(ctx context.Context) *rpc {
	if r, ok := ctx.(*rpc); ok {
		return r
	}
	r, _ := ctx.Value(rpcKey{}).(*rpc)
	return r
}

// Method returns the full path of the RPC's method, "/package.Service/Method", or "" if ctx is not an RPC's.
func Method(ctx context.Context) string {
	if r := rpcOf(ctx); r != nil {
		return r.def.path
	}
	return ""
}

// InvocationMetadata returns what the client sent with the call, in the order in which it came. It must not be
// modified.
func InvocationMetadata(ctx context.Context) Metadata {
	if r := rpcOf(ctx); r != nil {
		return r.def.metadata
	}
	return nil
}

// SendInitialMetadata sends the initial metadata at once. It fails if md cannot be sent, if initial metadata has gone
// out already (which the first response does too), and if the RPC is over.
func SendInitialMetadata(ctx context.Context, md Metadata) error {
	r := rpcOf(ctx)
	if r == nil {
		return errNoRPC
	}
	if err := md.validate(); err != nil {
		return err
	}
	r.mu.Lock()
	switch {
	case r.isOver:
		defer r.mu.Unlock()
		return r.endErrorLocked()
	case r.headersSent:
		r.mu.Unlock()
		return errors.New("Initial metadata no longer allowed!") //nolint:staticcheck // grpc-python's words
	}
	r.headersSent = true
	r.stream.Write(http2.Outgoing{Headers: appendMetadata(appendResponseHeaders(nil, r.gzip.Load()), md)})
	r.mu.Unlock()
	r.conn.h2.Flush()
	return nil
}

// SetTrailingMetadata sets the metadata that follows the last response, in place of what was set before. It fails if md
// cannot be sent, and if the RPC is over.
func SetTrailingMetadata(ctx context.Context, md Metadata) error {
	r := rpcOf(ctx)
	if r == nil {
		return errNoRPC
	}
	if err := md.validate(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver {
		return r.endErrorLocked()
	}
	r.trailing = append(Metadata(nil), md...)
	return nil
}

// SetCompression chooses how the responses of this RPC are compressed. It has to be called before the first response
// and before SendInitialMetadata. A client that does not accept the compression gets its responses without.
func SetCompression(ctx context.Context, compression Compression) error {
	r := rpcOf(ctx)
	if r == nil {
		return errNoRPC
	}
	if compression > Gzip {
		return fmt.Errorf("gogreeter: %d is not a compression; use NoCompression or Gzip", compression)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver {
		return r.endErrorLocked()
	}
	if r.headersSent {
		return errors.New("gogreeter: the compression can no longer be set: initial metadata has been sent")
	}
	r.gzip.Store(compression == Gzip && r.def.wantsGzip)
	return nil
}

// Cancel ends the RPC with the status CANCELLED. The handler goes on until it returns; what it returns is dropped.
func Cancel(ctx context.Context) error {
	r := rpcOf(ctx)
	if r == nil {
		return errNoRPC
	}
	r.finishFromOutside(outcomeCancelled, context.Canceled)
	r.conn.h2.Flush()
	return nil
}

// Peer returns the address of the client and, for a connection with TLS, what the handshake established
// (credentials.TLSInfo). It returns nil if ctx is not an RPC's.
func Peer(ctx context.Context) *peer.Peer {
	r := rpcOf(ctx)
	if r == nil {
		return nil
	}
	p := &peer.Peer{Addr: r.conn.nc.RemoteAddr(), LocalAddr: r.conn.nc.LocalAddr()}
	if secure, ok := r.conn.nc.(*tls.Conn); ok {
		p.AuthInfo = credentials.TLSInfo{
			State:          secure.ConnectionState(),
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	return p
}

// Deadline implements context.Context.
func (r *rpc) Deadline() (deadline time.Time, ok bool) { return r.deadline, !r.deadline.IsZero() }

// Done implements context.Context. The channel exists only once somebody has asked for it.
func (r *rpc) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.isOver {
			close(r.done)
		}
	}
	return r.done
}

// Err implements context.Context.
func (r *rpc) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

// Value implements context.Context. It answers to the keys of the packages metadata and peer too, so that handlers
// written for grpc-go find what they look for.
func (r *rpc) Value(key any) any {
	switch key {
	case rpcKey{}:
		return r
	case incomingMetadataKey:
		return r.def.metadata.MD()
	case peerKey:
		return Peer(r)
	}
	return nil
}

// AfterFunc is what package context looks for in a foreign context, to save a goroutine for each context made from it.
// f runs on a goroutine of its own once the RPC is over.
func (r *rpc) AfterFunc(f func()) (stop func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isOver {
		go f()
		return func() bool { return false }
	}
	if r.after == nil {
		r.after = map[*func()]struct{}{}
	}
	entry := &f
	r.after[entry] = struct{}{}
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, pending := r.after[entry]
		delete(r.after, entry)
		return pending
	}
}

// The keys under which the packages metadata and peer look into a context. They are unexported there, so a context
// that notes what it is asked for tells them.
var (
	incomingMetadataKey = keyOf(func(ctx context.Context) { metadata.FromIncomingContext(ctx) })
	peerKey             = keyOf(func(ctx context.Context) { peer.FromContext(ctx) })
)

func keyOf(ask func(context.Context)) any {
	probe := &keyProbe{Context: context.Background()}
	ask(probe)
	return probe.key
}

type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}
