// Package servicer holds what the packages runtime and runtimetest agree on: how a context tells of the RPC that it stands for.
// It is here, and no part of the API, since the interface grows with what a handler can do.
package servicer

import "google.golang.org/grpc/peer"

// Context is what a handler can learn of its RPC and do to it beside answering: grpc-python's object of that name. Handlers
// reach it by the functions of package runtime that take a context. The types of that package are parameters, because it
// imports this one.
type Context[Metadata, Compression any] interface {
	Method() string
	InvocationMetadata() Metadata
	Peer() *peer.Peer
	SendInitialMetadata(md Metadata) error
	SetInitialMetadata(md Metadata) error
	SetTrailingMetadata(md Metadata) error
	TrailingMetadata() Metadata
	SetCompression(compression Compression) error
	DisableNextMessageCompression() error
	AddCallback(f func()) bool
	Cancel() error
	Stopping() <-chan struct{}
}

// Key is the key of a context's value that is a Context.
type Key struct{}
