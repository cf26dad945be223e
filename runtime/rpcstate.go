package runtime

import "sync/atomic"

// rpcState is where an RPC is in its life. Its handler's part and its answer's part go on side by side, and end in any order:
//
//	          begin            dispatch              release
//	received ───────▶ begun ────────────▶ dispatched ────────▶ released
//	   │                │                                         ▲
//	   │ refuse         └────── end, and release ─────────────────┘
//	   ▼
//	refused
//
//	      end               remove
//	open ─────▶ over ──────────────────▶ over and removed
//	  └───────▶ removed ─────────────────────▲
//	   remove              end
//
// An RPC is over once its status has been sent, or can no longer be sent. It is removed once its stream is forgotten. It is
// released once no handler runs for it, or ever will. An RPC that ends before it is dispatched has no handler to wait for, so
// ending it also releases it. An RPC that is removed and released is finished: its memory is freed. An RPC that holds nothing
// when it is dispatched, and never will, is bare. Most RPCs are; they need not be removed or finished.
//
// A dispatched RPC enters its handler. If the number of handlers is bounded, it takes a place, and leaves it again.
//
// Any goroutine may take a step, without a lock: each step is one atomic operation, and the second of two sees the first.
// Only end and refuse set stateEnded. The caller of end holds rpc.mu, so a goroutine that holds mu and sees stateEnded finds
// the outcome in rpc.ending. refuse runs before the RPC can end otherwise.
type rpcState struct{ bits atomic.Uint32 }

const (
	stateBegun      = 1 << iota // It is counted. Before, it cannot be ended from outside.
	stateDispatched             // A worker has it, or will; or there is nothing to release, since it was refused.
	stateHasSlot                // Its handler has one of a bounded number of places.
	stateUnbounded              // Its handler runs, or has run, and needs no place.
	stateEnded
	stateRemoved
	stateReleased
	stateBare // Nothing will have to be given back.

	stateFinished = stateRemoved | stateReleased
)

// set takes a step and reports the state before.
func (s *rpcState) set(bit uint32) (before uint32) { return s.bits.Or(bit) }

func (s *rpcState) has(bits uint32) bool { return s.bits.Load()&bits != 0 }

// begin makes an RPC of a request.
func (s *rpcState) begin() { s.set(stateBegun) }

// refuse says that a request does not become an RPC.
func (s *rpcState) refuse() { s.set(stateEnded | stateDispatched) }

// dispatch reports whether to hand the RPC to a worker: not if it has ended, since it is released then. bare means that the RPC
// holds nothing that has to be freed.
func (s *rpcState) dispatch(bare bool) (goes bool) {
	bits := uint32(stateDispatched)
	if bare {
		bits |= stateBare
	}
	return s.set(bits)&stateEnded == 0
}

// enter says that the handler begins. It reports false if the RPC has ended.
func (s *rpcState) enter(bounded bool) (goes bool) {
	bit := uint32(stateUnbounded)
	if bounded {
		bit = stateHasSlot
	}
	return s.set(bit)&stateEnded == 0
}

// leave gives up the place that enter has taken.
func (s *rpcState) leave() { s.bits.And(^uint32(stateHasSlot)) }

// end makes the RPC over. It reports whether the RPC has to be released, too.
func (s *rpcState) end() (releases bool) {
	return s.set(stateEnded)&(stateBegun|stateDispatched|stateEnded) == stateBegun
}

// release reports whether the RPC has not been released before, and whether it is finished by that.
func (s *rpcState) release() (first, finishes bool) {
	before := s.set(stateReleased)
	return before&stateReleased == 0, before&(stateFinished|stateBare) == stateRemoved
}

// remove reports whether the RPC is finished by that.
func (s *rpcState) remove() (finishes bool) {
	if s.has(stateBare) {
		return false
	}
	return s.set(stateRemoved)&stateFinished == stateReleased
}

// hasBegun reports whether the RPC can be ended from outside.
func (s *rpcState) hasBegun() bool { return s.has(stateBegun) }

// hasEnded reports whether the RPC has ended. With rpc.mu held, it stays so.
func (s *rpcState) hasEnded() bool { return s.has(stateEnded) }

// isEnding reports whether the RPC has ended, or is about to since its stream has. Of a bare one, only the former is known.
func (s *rpcState) isEnding() bool { return s.has(stateEnded | stateRemoved) }

// hasEntered reports whether the handler runs.
func (s *rpcState) hasEntered() bool { return s.has(stateHasSlot | stateUnbounded) }

// isDispatched reports whether the RPC has gone to where its handler runs.
func (s *rpcState) isDispatched() bool { return s.has(stateDispatched) }

// isReleased reports whether no handler runs any more or will.
func (s *rpcState) isReleased() bool { return s.has(stateReleased) }

// hasSlot reports whether the handler has one of a bounded number of places.
func (s *rpcState) hasSlot() bool { return s.has(stateHasSlot) }

// requestState is how much of an RPC's request has come. The reader owns it:
//
//	      message        message
//	none ─────────▶ one ─────────▶ several ─┐ message
//	                                  ▲─────┘
//
// In each state END_STREAM may come once (finish); no message follows it. What still comes may also have become useless
// (ignore).
type requestState uint8

const (
	requestOne requestState = 1 << iota
	requestTooMany
	requestFinished
	requestIgnored
)

// message is called when a complete message has come.
func (s *requestState) message() {
	if *s&requestOne != 0 {
		*s |= requestTooMany
	}
	*s |= requestOne
}

func (s *requestState) finish() { *s |= requestFinished }
func (s *requestState) ignore() { *s |= requestIgnored }

// one reports whether exactly one message has come so far.
func (s requestState) one() bool { return s&(requestOne|requestTooMany) == requestOne }

// tooMany reports whether more than one message has come.
func (s requestState) tooMany() bool { return s&requestTooMany != 0 }

func (s requestState) finished() bool { return s&requestFinished != 0 }
func (s requestState) ignored() bool  { return s&requestIgnored != 0 }
