package http2

import "sync/atomic"

// streamState is what RFC 9113, Section 5.1 calls the state of a stream, as either end sees it. A stream exists once
// its HEADERS frame has been read or appended, so the idle and reserved states have no value; the two halves close on their own:
//
//	              recv END_STREAM                send END_STREAM
//	open ───────────────────────▶ half-closed ─────────────────────▶ closed
//	  │                            (remote)                             ▲
//	  │        send END_STREAM                 recv END_STREAM          │
//	  ├───────────────────────▶ half-closed ───────────────────────────┤
//	  │                            (local)                              │
//	  └────────────────── send or recv RST_STREAM ──────────────────────┘
//
// The reader closes the remote half, and another goroutine the local half, without a lock between them: each sets
// its bit, and is told which were set before.
type streamState struct{ bits atomic.Uint32 }

// The bits of a state, and states of several bits.
const (
	remoteClosed = 1 << iota // The peer has sent END_STREAM.
	localClosed              // We have sent END_STREAM.
	reset                    // RST_STREAM was sent or received, or the connection is over.

	open   = 0
	closed = remoteClosed | localClosed
)

// set closes the halves in bits and reports the state before.
func (s *streamState) set(bits uint32) (before uint32) { return s.bits.Or(bits) }

// isClosed reports whether no frame but PRIORITY is expected any more.
func (s *streamState) isClosed() bool {
	bits := s.bits.Load()
	return bits&reset != 0 || bits&closed == closed
}

// canSend reports whether the local half is open.
func (s *streamState) canSend() bool { return s.bits.Load()&(localClosed|reset) == 0 }

// canReceive reports whether the remote half is open.
func (s *streamState) canReceive() bool { return s.bits.Load()&(remoteClosed|reset) == 0 }
