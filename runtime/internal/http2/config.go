package http2

import (
	"math"
	"time"
)

// Config holds the limits of a connection. The zero value of a field means its default.
type Config struct {
	// MaxConcurrentStreams is announced as SETTINGS_MAX_CONCURRENT_STREAMS; a stream beyond it is refused with
	// REFUSED_STREAM. Default 1,000.
	MaxConcurrentStreams int

	// MaxHeaderListBytes is announced as SETTINGS_MAX_HEADER_LIST_SIZE, counted as RFC 9113, Section 6.5.2 says. A
	// request beyond it reaches the application with Oversize set; a field block of four times as many octets on the
	// wire ends the connection. Default 16 KiB.
	MaxHeaderListBytes int

	// MaxHeaderFields bounds the number of fields of a request in the same way. Default 250.
	MaxHeaderFields int

	// Resets bounds what a well-behaved peer seldom causes: streams that it resets before they are answered, and frames for
	// which we have to reset one (rapid reset, CVE-2023-44487, and its sibling, CVE-2025-8671). Controls bounds frames that
	// cost us an answer or a walk over the streams: PING and SETTINGS (CVE-2019-9512, -9515); and Empties DATA, HEADERS and
	// CONTINUATION frames without content (CVE-2019-9518). Defaults 1,000 and 33 a second, 1,000 and 100, 10,000 and 1,000.
	Resets, Controls, Empties Rate

	// StreamWindow and ConnWindow are how many octets a peer may have under way or unconsumed, for a stream and for
	// the connection. Defaults 65,535 octets and 1 MiB. The connection's is never below 65,535 octets.
	StreamWindow, ConnWindow int

	// MaxWindow is up to how much the windows of streams, and that of the connection, grow while they are what keeps a peer from
	// sending more. A quarter of the account is the limit too, and less with many streams. Default 16 MiB; a negative value is
	// not at all.
	MaxWindow int

	// MaxPendingBytes is how much data a stream keeps for want of flow-control window before [Stream.WaitRoom] waits.
	// Default 64 KiB.
	MaxPendingBytes int

	// SetupTimeout is the time from NewConn to the peer's first SETTINGS frame, unless [Conn.SetupBy] says otherwise, and
	// the time that a field block may take. Default 10 s.
	SetupTimeout time.Duration

	// WriteTimeout is how long a write to the network may make no progress before the connection ends, and how long the peer
	// may take nothing of its responses while these fill its account. Default 30 s.
	WriteTimeout time.Duration

	// KeepaliveTime is how long nothing may come before the peer is asked by a PING whether it is still there, and
	// KeepaliveTimeout how long it may take to answer. Defaults 2 h and 20 s; a negative KeepaliveTime is never.
	KeepaliveTime, KeepaliveTimeout time.Duration

	// MinPingInterval is how long a peer waits between PING frames; with no stream open that is two hours, unless
	// PingsWithoutStreams. The third that comes earlier ends the connection. PINGs after something of ours do not count.
	// Default 5 min; a negative value is no limit.
	MinPingInterval     time.Duration
	PingsWithoutStreams bool

	// MaxIdle is how long a connection may have no stream, and MaxAge how long it lives, give or take a tenth, until it
	// is shut down; MaxAgeGrace is how long its streams may go on after that. Defaults no limit.
	MaxIdle, MaxAge, MaxAgeGrace time.Duration
}

// WithDefaults returns a copy in which the zero fields have their defaults.
func (c Config) WithDefaults() *Config {
	setDefault(&c.MaxConcurrentStreams, 1000)
	c.MaxConcurrentStreams = min(c.MaxConcurrentStreams, math.MaxInt32) // it is announced in 32 bits
	setDefault(&c.MaxHeaderListBytes, 16<<10)
	c.MaxHeaderListBytes = min(c.MaxHeaderListBytes, math.MaxInt32/4) // four times as many octets on the wire are counted
	setDefault(&c.MaxHeaderFields, 250)
	c.Resets.setDefault(1000, 33)
	c.Controls.setDefault(1000, 100)
	c.Empties.setDefault(10_000, 1000)
	setDefault(&c.StreamWindow, defaultWindow)
	setDefault(&c.ConnWindow, 1<<20)
	c.StreamWindow = min(c.StreamWindow, maxWindow)
	c.ConnWindow = max(defaultWindow, min(c.ConnWindow, maxWindow))
	if c.MaxWindow == 0 {
		c.MaxWindow = 16 << 20
	}
	c.MaxWindow = min(c.MaxWindow, maxWindow)
	setDefault(&c.MaxPendingBytes, 64<<10)
	setDefault(&c.SetupTimeout, 10*time.Second)
	setDefault(&c.WriteTimeout, 30*time.Second)
	if c.KeepaliveTime < 0 {
		c.KeepaliveTime = maxDuration
	}
	c.MaxAge = min(c.MaxAge, maxDuration)
	setDefault(&c.KeepaliveTime, 2*time.Hour)
	setDefault(&c.KeepaliveTimeout, 20*time.Second)
	if c.MinPingInterval == 0 {
		c.MinPingInterval = 5 * time.Minute
	}
	return &c
}

// maxDuration is the longest duration used: a tenth can still be added to it.
const maxDuration = 1 << 62

// setDefault sets a value that is zero or negative.
func setDefault[T int | time.Duration](value *T, to T) {
	if *value <= 0 {
		*value = to
	}
}

// Sizes and times that are not options: other values would gain nothing, or cost what docs/performance.md counts.
const (
	readBufferSize = 32 << 10 // octets; the largest frame we allow has to fit: 9 + 16,384
	maxOut         = 47 << 10 // octets of DATA in the out-buffer; what is beyond waits on its stream. See outBufferSize
	minPartialData = 4 << 10  // octets of a DATA frame's content that are processed before the rest has come
	maxOutReader   = 2 * maxOut

	// After a read of more than manyRead octets, the next bulkReads reads use a buffer of largeReadBufferSize. With TLS that
	// does not happen: a read returns one record, of 16 KiB at most.
	largeReadBufferSize = 128 << 10
	manyRead            = 20 << 10
	bulkReads           = 8

	// outBufferSize is the capacity of an out-buffer. It fits a frame that begins just below maxOut, and field blocks and
	// control frames. With three frames of 16 KiB in it, and even then, a write is one segment on a loopback interface,
	// where a segment has up to 65,483 octets; a little more is two, of which the second costs as much as the first.
	outBufferSize = maxOut + 20<<10

	// extraContinuations is how many CONTINUATION frames may follow one HEADERS frame beyond those that the largest
	// field block needs. The limit stops floods of small and of empty ones (CVE-2024-28182).
	extraContinuations = 32

	// gRPC's keepalive document (A8-client-side-keepalive) has these for servers.
	maxPingStrikes   = 2
	idlePingInterval = 2 * time.Hour

	clockJump        = time.Second    // a timer this late means that the process did not run
	lingerTime       = time.Second    // from the last octet written to the close of the socket
	endTime          = 3 * lingerTime // from an error, or End, to the close of the socket whatever the peer does
	shutdownPingTime = time.Second    // how long the peer may take for the PING between the two GOAWAY frames
)
