package http2

import (
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// inflow is the receiving side of flow control (RFC 9113, Section 6.9), of a stream or of the connection. It keeps
// window + held at target: credit for what has been received goes back to the peer as it is consumed.
type inflow struct {
	target   int32 // octets that the peer may have under way or unconsumed
	window   int32 // octets that the peer may still send; below zero if the target has become smaller than what it has sent
	held     int64 // octets received and not yet consumed
	expected int32 // octets of the window that expect has promised, and that have not come
}

// newInflow returns a window that is open as far as its target.
func newInflow(target int32) inflow { return inflow{target: target, window: target} }

// receive takes n octets off the window. It reports false if the peer sent more than it was allowed.
func (f *inflow) receive(n int) bool {
	if n > max(int(f.window), 0) {
		return false
	}
	f.window -= int32(n)
	f.held += int64(n)
	f.expected = max(f.expected-int32(n), 0)
	return true
}

// consume gives n octets back and returns the increment to announce to the peer, or 0 while that is not worth a frame.
func (f *inflow) consume(n int) (increment uint32) {
	f.held -= int64(n)
	missing := int64(f.target) - f.held - int64(f.window)
	if missing < int64(f.worthwhile()) {
		return 0
	}
	f.window += int32(missing)
	return uint32(missing)
}

// worthwhile is how many octets are worth a frame: half of the target, or less if that is large, since of what is not announced
// nothing can come within the round trip.
func (f *inflow) worthwhile() int32 { return min(f.target/2, max(f.target/16, defaultWindow/2)) }

// expect makes room for n more octets at once, beyond the target if need be, and returns the increment to announce. If
// octets is not 0, so many octets that are held belong to the same thing, which does not count against the target: what
// follows it may be sent too, so that the peer need not stop behind it.
//
// An example, of a target of 64 KiB: 10 KiB of a message of 1 MiB are held, and 20 KiB of others. The window becomes the
// 1,014 KiB of the rest, and the 44 KiB that the others leave of the target.
func (f *inflow) expect(octets int, n int32) (increment uint32) {
	f.expected = max(n, 0)
	if f.window >= n {
		return 0
	}
	window := int64(n)
	if others := f.held - int64(octets); octets > 0 && others < int64(f.target) {
		window = min(int64(n)+int64(f.target)-others, maxWindow)
	}
	increment = uint32(min(window-int64(f.window), maxWindow))
	f.window = int32(int64(f.window) + int64(increment))
	f.expected = min(f.expected, f.window)
	return increment
}

// resize changes the target by some octets, and with it the window. The peer knows that already. What it returns is the
// increment to announce besides: so that what is expected can come all the same, and for what was consumed and was not worth a
// frame before.
func (f *inflow) resize(by int32) (increment uint32) {
	f.target += by
	f.window += by
	if f.expected > 0 && f.window < f.expected {
		increment = uint32(f.expected - f.window)
		f.window = f.expected
	}
	return increment + f.consume(0)
}

// retarget changes the target, and returns the increment to announce: none if the window is as large already. What the peer has
// of it cannot be taken back.
func (f *inflow) retarget(target int32) (increment uint32) {
	f.target = target
	missing := int64(target) - f.held - int64(f.window)
	if missing <= 0 {
		return 0
	}
	f.window += int32(missing)
	return uint32(missing)
}

// beyond is how much more is held than any stream may hold.
func (f *inflow) beyond() int64 { return max(f.held-defaultWindow, 0) }

// addWindow adds an increment to a window that the peer gave us. It reports false if that makes the window larger
// than RFC 9113, Section 6.9.1 allows.
func addWindow(window *int32, increment int64) bool {
	sum := int64(*window) + increment
	if sum > maxWindow {
		return false
	}
	*window = int32(sum)
	return true
}

// credit is window of the connection's that the peer is owed, and gets once there is room for what it will send. Guarded by
// Conn.mu.
type credit struct {
	owed     uint32
	left     int64 // what the peer has of the window
	claim    budget.Claim
	withheld bool // claim is in line
}

// windows is how much the peer may send on each stream, and how much of that is more than every stream may hold. Guarded by
// Conn.mu, but for beyond, which any goroutine may read.
//
// Whatever the windows of streams are, the peer can send no more than the connection's window. That opens again with every octet
// that comes, as far as each stream may hold it in any case. What streams hold beyond, it does not give back before that has been
// taken. So with what is held beyond, the connection's window is never more than the share, which the account has promised.
//
// If handlers leave so much that others could not send any more, or the account has no room, SETTINGS_INITIAL_WINDOW_SIZE becomes
// what every stream may have. Once the peer has acknowledged that, what it sends needs no share.
//
// A larger size holds at once, since the peer may use it as soon as it hears of it. A smaller one holds once the peer has
// acknowledged it (RFC 9113, Section 6.5.3): each stream's window becomes smaller then, also below zero (Section 6.9.2).
type windows struct {
	initial  int32        // our SETTINGS_INITIAL_WINDOW_SIZE: what the peer may have under way or unconsumed of a stream
	smaller  int32        // what initial becomes once the peer has acknowledged that; 0: nothing else
	unacked  bool         // there are SETTINGS of ours that the peer has not acknowledged
	shrunk   bool         // initial had to become small, and stays so for a while
	short    bool         // the peer has little of the connection's window, and streams hold the rest
	moved    bool         // some of what streams hold beyond has been taken
	beyond   atomic.Int64 // octets held of streams, beyond defaultWindow of each
	expected int64        // octets that are expected on streams, and have not come
	allowed  int64        // octets of the connection's window that the peer may have although that is withheld
	conn     int32        // what the connection's window began with
	promised int64        // octets of the connection's window, beyond baseConnWindow, that the account has promised
}

// baseConnWindow is how much of the connection's window every peer may have, whatever the account says.
const baseConnWindow = 1 << 20
