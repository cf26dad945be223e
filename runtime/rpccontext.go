package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
	"github.com/gogreeter/gogreeter/runtime/internal/servicer"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// The rpc is its handler's context. What costs something to make exists only once somebody has asked for it.

// Deadline implements context.Context.
func (r *rpc) Deadline() (deadline time.Time, ok bool) {
	if at := r.deadlineNow(); !at.IsZero() {
		return at.Time(), true
	}
	return time.Time{}, false
}

// deadlineNow returns the deadline, which interceptors may bring forward; zero: there is none.
func (r *rpc) deadlineNow() clock.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deadline
}

// Value implements context.Context. It answers to the keys of the packages metadata and peer too, so that handlers
// written for grpc-go find what they look for.
func (r *rpc) Value(key any) any {
	switch key {
	case servicer.Key{}:
		return (*servicerContext)(r)
	case incomingMetadataKey:
		md := r.def.metadata.MD()
		md.Set(":authority", r.def.authority) // grpc-go has it there
		return md
	case peerKey:
		return (*servicerContext)(r).Peer()
	case carrier.Unobserved{}:
		return r.call == nil || r.call.method.cardinality.ResponseStreaming() && len(r.call.onResponse) == 0
	}
	if r.observed != nil {
		return r.observed.values.Value(key)
	}
	return r.session.values.Value(key)
}

// String implements fmt.Stringer. Package context calls it for the contexts made from this one.
func (r *rpc) String() string { return fmt.Sprintf("RPC %q", r.def.path) }

// Format implements fmt.Formatter, so that nothing that changes is read when a context is printed, in whatever way. Package fmt
// would read all fields by reflection, while others write them.
func (r *rpc) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// servicerContext is the rpc as a contextOfRPC. It is a type of its own since the names of its methods, as Method and
// Peer, would say too little among those of the rpc.
type servicerContext rpc

// servicerContext saves the functions that take a context the look-up of a value.
func (r *rpc) servicerContext() contextOfRPC { return (*servicerContext)(r) }

func (c *servicerContext) rpc() *rpc { return (*rpc)(c) }

func (c *servicerContext) Format(f fmt.State, verb rune) { c.rpc().Format(f, verb) }

func (c *servicerContext) Method() string               { return c.def.path }
func (c *servicerContext) InvocationMetadata() Metadata { return c.def.metadata }
func (c *servicerContext) Stopping() <-chan struct{}    { return c.session.shared.closing }

func (c *servicerContext) Peer() *peer.Peer { return c.session.peerInfo() }

// peerInfo describes the client.
func (s *connState) peerInfo() *peer.Peer {
	nc := s.nc
	p := &peer.Peer{Addr: s.remoteAddr(), LocalAddr: ports.Known(nc.LocalAddr())}
	if secure, ok := nc.(socket.TLS); ok {
		p.AuthInfo = credentials.TLSInfo{
			State:          clipState(secure.ConnectionState()),
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	return p
}

func (c *servicerContext) SetInitialMetadata(md Metadata) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.rpc().initialAllowedLocked(md); err != nil || len(md) == 0 {
		return err
	}
	merged := md.Clone()
	if waiting := c.reply.initial.Load(); waiting != nil {
		merged = append(slices.Clip(*waiting), md...)
	}
	c.reply.initial.Store(&merged)
	return nil
}

// SendInitialMetadata is admitted as a response is, and flushed at once: what is sent ahead of the first response is meant to
// arrive ahead of it.
func (c *servicerContext) SendInitialMetadata(md Metadata) error {
	r := c.rpc()
	if memory := 2*wire.MetadataSize(md) + r.reply.initialMemory(); memory > 2*unreservedResponseSize {
		reserved, ok := r.reserveResponse(memory, r.mayWait())
		if !ok {
			return r.endError()
		}
		defer r.session.giveBack(reserved)
	}
	if err := r.sendInitial(md); err != nil {
		return err
	}
	r.session.h2.Flush()
	r.observed.headers()
	return nil
}

// sendInitial sends the initial metadata that waits, and more.
func (r *rpc) sendInitial(md Metadata) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.initialAllowedLocked(md); err != nil {
		return err
	}
	if head := r.headersLocked(md); head != nil {
		r.stream.Head(head) // an error means that the stream is over, which HandleClose tells
	}
	return nil
}

// initialAllowedLocked returns why there can be no more initial metadata, or nil.
func (r *rpc) initialAllowedLocked(more Metadata) error {
	switch {
	case r.state.hasEnded():
		return r.endErrorLocked()
	case r.reply.headersSent:
		return ErrInitialMetadataSent
	}
	size := wire.ResponseHeadersSize + r.reply.initialMemory()/2 + wire.MetadataSize(more)
	if limit := r.stream.MaxFieldSection(); size > limit {
		return fmt.Errorf("gogreeter: the initial metadata is larger than the client permits (%d vs. %d octets)", size, limit)
	}
	return nil
}

// SetTrailingMetadata copies md, which may change before the RPC ends.
func (c *servicerContext) SetTrailingMetadata(md Metadata) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.hasEnded() {
		return c.rpc().endErrorLocked()
	}
	c.reply.trailing = append(Metadata(nil), md...)
	return nil
}

func (c *servicerContext) TrailingMetadata() Metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(Metadata(nil), c.reply.trailing...)
}

// SetCompression has to come before the headers, in which grpc-encoding announces the compression.
func (c *servicerContext) SetCompression(compression Compression) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.hasEnded() {
		return c.rpc().endErrorLocked()
	}
	if c.reply.headersSent {
		return errors.New("gogreeter: the compression can no longer be set: initial metadata has been sent")
	}
	encoding := compression.or(c.session.shared.compression)
	if !c.def.accepts.Has(encoding) {
		// gRPC compression.md: a server must not use what the client has not announced.
		encoding = wire.Identity
	}
	if !c.reply.encoding.choose(encoding) {
		return errors.New("gogreeter: the compression can no longer be set: a response has been compressed")
	}
	return nil
}

func (c *servicerContext) DisableNextMessageCompression() error {
	c.reply.encoding.plainNext.Store(true)
	return nil
}

func (c *servicerContext) AddCallback(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.hasEnded() {
		return false
	}
	a := c.ending.afterwards()
	a.callbacks = append(a.callbacks, f)
	return true
}

// Cancel flushes, since the handler may go on for as long as it likes.
func (c *servicerContext) Cancel() error {
	c.rpc().abort(outcomeCancelled, context.Canceled)
	c.session.h2.Flush()
	return nil
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

// clipState clips what the RPCs of a connection share of its handshake, so that none appends to what others see.
func clipState(state tls.ConnectionState) tls.ConnectionState {
	state.PeerCertificates = slices.Clip(state.PeerCertificates)
	state.VerifiedChains = slices.Clone(state.VerifiedChains)
	for i, chain := range state.VerifiedChains {
		state.VerifiedChains[i] = slices.Clip(chain)
	}
	state.VerifiedChains = slices.Clip(state.VerifiedChains)
	state.SignedCertificateTimestamps = slices.Clip(state.SignedCertificateTimestamps)
	state.OCSPResponse = slices.Clip(state.OCSPResponse)
	state.TLSUnique = slices.Clip(state.TLSUnique)
	return state
}
