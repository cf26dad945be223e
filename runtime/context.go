package runtime

import (
	"context"
	"errors"

	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/servicer"
)

// contextOfRPC is what a context tells of its RPC. Package runtimetest has another, with which tests call a servicer without a
// server.
type contextOfRPC = servicer.Context[Metadata, Compression]

// Errors of the functions that take an RPC's context. They carry the status INTERNAL where these return them: errors.Is finds
// them.
var (
	// ErrNoRPC says that a context is not that of an RPC, nor made from one.
	ErrNoRPC = errors.New("gogreeter: the context is not that of an RPC; use the one that the handler was called with")

	// ErrInitialMetadataSent says that it is too late for initial metadata. The words are grpc-python's.
	ErrInitialMetadataSent = errors.New("Initial metadata no longer allowed!") //lint:ignore ST1005 see above
)

// servicerContextOf returns the RPC that ctx stands for, or one that knows and does nothing.
func servicerContextOf(ctx context.Context) contextOfRPC {
	if r, ok := ctx.(interface{ servicerContext() contextOfRPC }); ok { // at once, as mostly
		return r.servicerContext()
	}
	if c, ok := ctx.Value(servicer.Key{}).(contextOfRPC); ok {
		return c
	}
	return noRPC{}
}

// Method returns the full path of the RPC's method, "/package.Service/Method", as the client sent it. It is "" if ctx
// is not an RPC's.
func Method(ctx context.Context) string { return servicerContextOf(ctx).Method() }

// InvocationMetadata returns what the client sent with the call, in the order in which it came. It must not be
// modified.
func InvocationMetadata(ctx context.Context) Metadata {
	return servicerContextOf(ctx).InvocationMetadata()
}

// Peer returns the address of the client and, for a connection with TLS, what the handshake established
// (credentials.TLSInfo). It returns nil if ctx is not an RPC's. Addresses are never nil: one that the connection does not
// know is of the network "unknown".
func Peer(ctx context.Context) *peer.Peer { return servicerContextOf(ctx).Peer() }

// SendInitialMetadata sends the initial metadata at once, including that of SetInitialMetadata. It fails if md cannot be sent,
// with [ErrInitialMetadataSent] if initial metadata has gone out already (which the first response does too), and if the RPC is
// over. Its error carries a status, as grpc-go's does: INTERNAL, or how the RPC has ended.
func SendInitialMetadata(ctx context.Context, md Metadata) error {
	if err := md.Validate(); err != nil {
		return internal(err)
	}
	return internal(servicerContextOf(ctx).SendInitialMetadata(md))
}

// SetInitialMetadata adds to the initial metadata, which leaves with the first response, or with the status if there is none,
// or when SendInitialMetadata sends it with its own. It needs no write by itself, as SendInitialMetadata does, and fails as
// that does.
func SetInitialMetadata(ctx context.Context, md Metadata) error {
	if err := md.Validate(); err != nil {
		return internal(err)
	}
	return internal(servicerContextOf(ctx).SetInitialMetadata(md))
}

// SetTrailingMetadata sets the metadata that follows the last response, in place of what was set before. It fails if md
// cannot be sent, and if the RPC is over. Its error carries a status, as that of SendInitialMetadata.
func SetTrailingMetadata(ctx context.Context, md Metadata) error {
	if err := md.Validate(); err != nil {
		return internal(err)
	}
	return internal(servicerContextOf(ctx).SetTrailingMetadata(md))
}

// TrailingMetadata returns what SetTrailingMetadata has set.
func TrailingMetadata(ctx context.Context) Metadata { return servicerContextOf(ctx).TrailingMetadata() }

// SetCompression chooses how the responses of this RPC are compressed. It has to be called before the first response
// and before SendInitialMetadata; an error says that it came too late. "" is
// ServerOptions.Compression again. A client that does not accept the compression gets its responses without.
func SetCompression(ctx context.Context, compression Compression) error {
	if err := compression.check(); err != nil {
		return internal(err)
	}
	return internal(servicerContextOf(ctx).SetCompression(compression))
}

// DisableNextMessageCompression sends the next response uncompressed, whatever the RPC's compression.
func DisableNextMessageCompression(ctx context.Context) error {
	return internal(servicerContextOf(ctx).DisableNextMessageCompression())
}

// AddCallback makes the server call f once the RPC is over, however it ends. Callbacks of an RPC are called one after
// another, in the order in which they were added, on a goroutine of their own. It reports false, and does not call f,
// if the RPC is over already or ctx is not an RPC's.
func AddCallback(ctx context.Context, f func()) bool { return servicerContextOf(ctx).AddCallback(f) }

// Cancel ends the RPC with the status CANCELLED. The handler goes on until it returns; what it returns is dropped.
func Cancel(ctx context.Context) error { return servicerContextOf(ctx).Cancel() }

// Stopping returns a channel that is closed when the server begins its grace: no new RPC begins, clients have been asked
// to go elsewhere, and those that do not end in time are cancelled. It is for handlers of long streams, which can end
// theirs in good order. It is nil if ctx is not an RPC's.
func Stopping(ctx context.Context) <-chan struct{} { return servicerContextOf(ctx).Stopping() }

// noRPC is the contextOfRPC of a context that is not an RPC's.
type noRPC struct{}

func (noRPC) Method() string                       { return "" }
func (noRPC) InvocationMetadata() Metadata         { return nil }
func (noRPC) Peer() *peer.Peer                     { return nil }
func (noRPC) SendInitialMetadata(Metadata) error   { return ErrNoRPC }
func (noRPC) SetInitialMetadata(Metadata) error    { return ErrNoRPC }
func (noRPC) SetTrailingMetadata(Metadata) error   { return ErrNoRPC }
func (noRPC) TrailingMetadata() Metadata           { return nil }
func (noRPC) SetCompression(Compression) error     { return ErrNoRPC }
func (noRPC) DisableNextMessageCompression() error { return ErrNoRPC }
func (noRPC) AddCallback(func()) bool              { return false }
func (noRPC) Cancel() error                        { return ErrNoRPC }
func (noRPC) Stopping() <-chan struct{}            { return nil }
