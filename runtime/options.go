package runtime

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"slices"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

// ServerOptions configures a [Server]. The zero value of each field is a safe default. A negative value is none: no bound, no
// time. Where to have none is not safe, it is an error of [Server.Start] instead, and the comment of the field says so.
type ServerOptions struct {
	// Logger receives what the server has to report: panics, undecodable requests, failures to accept. It writes
	// nothing for an RPC that goes as it should. Default slog.Default().
	Logger *slog.Logger

	// Grace is the time that [Server.Serve] gives to running RPCs when it stops. Default 5 s; a negative value is none.
	Grace time.Duration

	// DrainDelay is how long [Server.Serve] goes on as before when it is about to stop, with [Server.Draining] closed:
	// the time that load balancers need to see that the server is not ready, and to send their clients elsewhere.
	// Default none.
	DrainDelay time.Duration

	// Interceptors are called around every RPC; the first is outermost.
	Interceptors []ServerInterceptor

	// Observers are told what happens to connections and RPCs, each in this order.
	Observers []Observer

	// ConnContext returns the context whose values the contexts of a connection's RPCs have, as in package net/http. It is
	// called once for each connection, after the TLS handshake, with a context without values and with the connection: as the
	// listener has returned it, or a *tls.Conn around that. The connection is not to be read, written or closed. Only
	// the values count: RPCs have deadlines and ends of their own, and their own metadata and peer. If ConnContext panics or
	// returns nil, the connection is closed. Default none.
	ConnContext func(ctx context.Context, nc net.Conn) context.Context

	// Methods says where the handlers of some methods run: by full path ("/package.Service/Method"), or for all methods of a
	// service ("/package.Service/*") that are not named by themselves.
	Methods map[string]MethodOptions

	// Workers bounds how many handlers run at a time; further RPCs wait in the order in which they came. It is
	// grpc-python's ThreadPoolExecutor(max_workers=n). Interceptors are not bounded: RPCs wait, in the order in which the
	// interceptors have called next, on a goroutine each. Default no bound.
	Workers int

	// MaxConcurrentRPCs bounds how many RPCs there are at a time, running or waiting, including those whose client has
	// given up and whose handler has not returned. Further ones are answered with RESOURCE_EXHAUSTED, before interceptors
	// see them. Default no bound.
	MaxConcurrentRPCs int

	// MaxReceiveMessageBytes bounds a request message, as it comes and after inflating. A larger one is answered with
	// RESOURCE_EXHAUSTED before it has been received. Default 4 MiB; a negative value is no bound.
	MaxReceiveMessageBytes int

	// MaxSendMessageBytes bounds a response message as it goes out. A larger one is replaced by RESOURCE_EXHAUSTED.
	// Default no bound.
	MaxSendMessageBytes int

	// MaxConnectionBytes bounds what a client makes the server hold, for each connection: metadata, requests that are under
	// way or wait for their handler, and what it has not taken of responses, statuses included, all by the memory behind
	// them. Responses have three quarters of it at most. Near the limit, flow control holds requests back,
	// further RPCs do not begin although their deadlines run, handlers wait before a response is encoded, and then new
	// requests are refused with REFUSED_STREAM, after which clients try again. A client that takes nothing for the time of
	// WriteTimeout, while its responses keep something from going on, loses its connection. Default 64 MiB; a negative value
	// is no bound.
	MaxConnectionBytes int

	// MaxServerBytes bounds the sum of that over all connections, in the same way. Default no bound.
	MaxServerBytes int

	// Compression is how responses are compressed, for clients that accept it, unless [SetCompression] says otherwise. Default
	// NoCompression.
	Compression Compression

	// MaxConcurrentStreams bounds the RPCs that a client may have open on one connection; it is announced, and clients
	// queue what is beyond. Default 1,000; a negative value is an error.
	MaxConcurrentStreams int

	// MaxMetadataBytes bounds the invocation metadata, counted as RFC 9113, Section 6.5.2 says: 32 octets for each
	// entry beside key and value. More is answered with RESOURCE_EXHAUSTED. Default 16 KiB; a negative value is an error.
	MaxMetadataBytes int

	// MaxMetadataFields bounds the number of entries of the invocation metadata, pseudo-header fields included, in the same
	// way. For both limits each value counts of those that a "-bin" field joins by commas. Default 250; a
	// negative value is an error.
	MaxMetadataFields int

	// Floods bounds what costs the server more than the client.
	Floods FloodOptions

	// SetupTimeout bounds the time from accepting a connection to the client's first SETTINGS frame, the TLS handshake
	// included. Default 10 s; a negative value is an error.
	SetupTimeout time.Duration

	// WriteTimeout is how long a client may accept nothing of what is sent to it before its connection ends. Default
	// 30 s; a negative value is an error.
	WriteTimeout time.Duration

	// Connections says how long connections live, and how it is found out that a client is gone.
	Connections ConnectionOptions
}

// FloodOptions bounds what a well-behaved client seldom does, and an attacker often, on each connection. A client beyond a
// bound is told so by GOAWAY with ENHANCE_YOUR_CALM, and loses its connection. A proxy that has many users on a connection
// may need more than the defaults.
type FloodOptions struct {
	// Resets bounds the streams that end by RST_STREAM before they are answered, from either side; half of the streams that
	// the client opens it may reset besides. Default 1,000 at once and 33 a second.
	Resets Rate

	// Controls bounds the frames that cost an answer or more: SETTINGS, PRIORITY, and those PINGs that MinPingInterval
	// permits. Default 1,000 at once and 100 a second.
	Controls Rate

	// Empties bounds frames without content: DATA, HEADERS and CONTINUATION. Default 10,000 at once and 1,000 a second.
	Empties Rate
}

// Rate is a token bucket: Burst at once, and PerSecond over time. Zero fields are the default; a negative Burst is no bound, and a
// negative PerSecond an error.
type Rate struct {
	Burst     int
	PerSecond float64
}

// ConnectionOptions configures the life of connections (gRPC proposals A8 and A9, and grpc-python's channel arguments of
// the same names), and how much clients may send ahead. The zero value of each field is a safe default.
type ConnectionOptions struct {
	// MaxIdle is how long a connection may have no RPC, and MaxAge how long it lives, give or take a tenth, until the
	// client is asked to make a new one; its RPCs go on. They may do so for MaxAgeGrace, and then end with the connection.
	// Defaults no limit.
	MaxIdle, MaxAge, MaxAgeGrace time.Duration

	// KeepaliveTime is how long nothing may come from a client before it is asked by a PING whether it is still there, and
	// KeepaliveTimeout how long it may take to answer before its connection ends. Defaults 2 h and 20 s; a negative
	// KeepaliveTime is never, and a negative KeepaliveTimeout an error.
	KeepaliveTime, KeepaliveTimeout time.Duration

	// MinPingInterval is how long clients have to wait between the PINGs of their own keepalive. Without RPCs that is two
	// hours, unless PingsWithoutRPCs is set. A client whose third PING in a row comes too early is told so by GOAWAY with
	// ENHANCE_YOUR_CALM, "too_many_pings". Default 5 min; a negative value is no limit.
	MinPingInterval  time.Duration
	PingsWithoutRPCs bool

	// StreamWindow and ConnectionWindow are how many octets of requests a client may send before they have been taken: of one RPC,
	// and of all of its connection together (RFC 9113, Section 5.2). Of requests, taken is what the handler has; on the connection,
	// it is what has come. By default the windows begin with 65,535 octets and 1 MiB. While it is they that keep a client from
	// sending more, they grow, up to 16 MiB each. After half a minute without requests they are as small as before.
	//
	// If one of the two is set, neither grows. If only StreamWindow is, the connection's is as large. Less than 65,535 octets and
	// 1 MiB are so many, and more than a quarter of MaxConnectionBytes is that quarter. All RPCs of a connection share it: while
	// they hold an eighth of MaxConnectionBytes that no handler takes, each may have 65,535 octets. A negative value is an error.
	StreamWindow, ConnectionWindow int
}

const (
	defaultGrace          = 5 * time.Second
	defaultReceiveMessage = 4 << 20
	defaultConnection     = 64 << 20
	minConnection         = 256 << 10
	connectionWindow      = 1 << 20
)

// withDefaults returns the options with those filled in that are zero, and what they say of HTTP/2. The defaults of that are
// the transport's own.
func (o ServerOptions) withDefaults() (ServerOptions, *http2.Config) {
	o.Methods, o.Interceptors, o.Observers = maps.Clone(o.Methods), slices.Clone(o.Interceptors), slices.Clone(o.Observers) // the caller's may change
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Grace = cmp.Or(o.Grace, defaultGrace)
	o.MaxReceiveMessageBytes = cmp.Or(o.MaxReceiveMessageBytes, defaultReceiveMessage)
	o.MaxReceiveMessageBytes = min(o.MaxReceiveMessageBytes, math.MaxInt32) // no message can be longer on all systems
	o.MaxConnectionBytes = cmp.Or(o.MaxConnectionBytes, defaultConnection)
	if o.MaxConnectionBytes > 0 {
		o.MaxConnectionBytes = max(o.MaxConnectionBytes, minConnection)
	}
	transport := o.transport().WithDefaults()
	o.MaxConcurrentStreams, o.SetupTimeout = transport.MaxConcurrentStreams, transport.SetupTimeout
	o.WriteTimeout = transport.WriteTimeout
	return o, transport
}

// check reports an option that is negative although it is not safe to have none of what it bounds.
func (o *ServerOptions) check() error {
	f := &o.Floods
	for name, negative := range map[string]bool{
		"MaxConcurrentStreams":         o.MaxConcurrentStreams < 0,
		"MaxMetadataBytes":             o.MaxMetadataBytes < 0,
		"MaxMetadataFields":            o.MaxMetadataFields < 0,
		"SetupTimeout":                 o.SetupTimeout < 0,
		"WriteTimeout":                 o.WriteTimeout < 0,
		"Connections.KeepaliveTimeout": o.Connections.KeepaliveTimeout < 0,
		"Connections.StreamWindow":     o.Connections.StreamWindow < 0,
		"Connections.ConnectionWindow": o.Connections.ConnectionWindow < 0,
		"Floods.Resets.PerSecond":      f.Resets.PerSecond < 0,
		"Floods.Controls.PerSecond":    f.Controls.PerSecond < 0,
		"Floods.Empties.PerSecond":     f.Empties.PerSecond < 0,
	} {
		if negative {
			return fmt.Errorf("gogreeter: ServerOptions.%s is negative, which would be none of it, and not safe; 0 is the default", name)
		}
	}
	return nil
}

// transport returns what the options say of HTTP/2.
func (o *ServerOptions) transport() http2.Config {
	c := o.Connections
	config := http2.Config{
		MaxConcurrentStreams: o.MaxConcurrentStreams,
		MaxHeaderListBytes:   o.MaxMetadataBytes,
		MaxHeaderFields:      o.MaxMetadataFields,
		Resets:               http2.Rate(o.Floods.Resets),
		Controls:             http2.Rate(o.Floods.Controls),
		Empties:              http2.Rate(o.Floods.Empties),
		StreamWindow:         streamWindow,
		SetupTimeout:         o.SetupTimeout,
		WriteTimeout:         o.WriteTimeout,
		MaxIdle:              c.MaxIdle,
		MaxAge:               c.MaxAge,
		MaxAgeGrace:          c.MaxAgeGrace,
		KeepaliveTime:        c.KeepaliveTime,
		KeepaliveTimeout:     c.KeepaliveTimeout,
		MinPingInterval:      c.MinPingInterval,
		PingsWithoutStreams:  c.PingsWithoutRPCs,
	}
	if c.StreamWindow > 0 || c.ConnectionWindow > 0 {
		config.MaxWindow = -1
		config.StreamWindow, config.ConnWindow = o.fixedWindows()
	}
	return config
}

// fixedWindows are the windows that the options ask for, within what there may be.
func (o *ServerOptions) fixedWindows() (stream, connection int) {
	share := math.MaxInt32
	if o.MaxConnectionBytes > 0 {
		share = o.MaxConnectionBytes / 4
	}
	stream, connection = o.Connections.StreamWindow, o.Connections.ConnectionWindow
	connection = max(min(cmp.Or(connection, stream), share), connectionWindow)
	if share < connectionWindow {
		return streamWindow, connection
	}
	return max(min(stream, share), streamWindow), connection
}
