package http2

import "github.com/gogreeter/gogreeter/runtime/internal/budget"

// inflow is the receiving side of flow control (RFC 9113, Section 6.9), of a stream or of the connection. It keeps
// window + held at target: credit for what has been received goes back to the peer as it is consumed.
type inflow struct {
	target int32 // octets that the peer may have under way or unconsumed
	window int32 // octets that the peer may still send
	held   int64 // octets received and not yet consumed
}

// newInflow returns a window that is open as far as its target.
func newInflow(target int32) inflow { return inflow{target: target, window: target} }

// receive takes n octets off the window. It reports false if the peer sent more than it was allowed.
func (f *inflow) receive(n int) bool {
	if n > int(f.window) {
		return false
	}
	f.window -= int32(n)
	f.held += int64(n)
	return true
}

// consume gives n octets back and returns the increment to announce to the peer, or 0 while that is not worth a
// frame: less than half of the target.
func (f *inflow) consume(n int) (increment uint32) {
	f.held -= int64(n)
	missing := int64(f.target) - f.held - int64(f.window)
	if missing < int64(f.target/2) {
		return 0
	}
	f.window += int32(missing)
	return uint32(missing)
}

// expect makes room for n more octets at once, beyond the target if need be, and returns the increment to announce. If
// octets is not 0, so many octets that are held belong to the same thing, which does not count against the target: what
// follows it may be sent too, so that the peer need not stop behind it.
//
// An example, of a target of 64 KiB: 10 KiB of a message of 1 MiB are held, and 20 KiB of others. The window becomes the
// 1,014 KiB of the rest, and the 44 KiB that the others leave of the target.
func (f *inflow) expect(octets int, n int32) (increment uint32) {
	if f.window >= n {
		return 0
	}
	window := n
	if others := f.held - int64(octets); octets > 0 && others < int64(f.target) {
		window = int32(min(int64(n)+int64(f.target)-others, maxWindow))
	}
	increment = uint32(window - f.window)
	f.window = window
	return increment
}

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
	claim    budget.Claim
	withheld bool // claim is in line
}
