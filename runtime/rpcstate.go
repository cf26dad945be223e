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
// It is over once its status has been sent, or can no longer be. It is removed once its stream is forgotten, and released
// once no handler runs for it any more, or will. One that ends before it is dispatched has no handler to wait for: whatever
// ends it releases it. One that is removed and released is finished: what it holds is given back. One that holds nothing when it
// is dispatched, nor will, is bare: that is the usual RPC, and it has no need to be removed or finished.
//
// A dispatched RPC enters its handler, which may take one of a bounded number of places and leaves that again.
//
// Any goroutine may take a step, without a lock: each is one atomic operation, and the step that comes second sees the first. But end
// is taken with rpc.mu held, so that a goroutine which holds mu and sees stateOver finds in rpc.ending how the RPC has ended.
type rpcState struct{ bits atomic.Uint32 }

const (
	stateBegun      = 1 << iota // It is counted. Before, it cannot be ended from outside.
	stateDispatched             // A worker has it, or will; or there is nothing to release, since it was refused.
	statePlaced                 // Its handler has one of a bounded number of places.
	stateUnbounded              // Its handler runs, or has run, and needs no place.
	stateOver
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
func (s *rpcState) refuse() { s.set(stateOver | stateDispatched) }

// dispatch reports whether the RPC is to be handed to a worker: not if it has ended, and has been released. bare says that nothing
// of the RPC will have to be given back.
func (s *rpcState) dispatch(bare bool) (goes bool) {
	bits := uint32(stateDispatched)
	if bare {
		bits |= stateBare
	}
	return s.set(bits)&stateOver == 0
}

// enter says that the handler begins. It reports false if the RPC has ended.
func (s *rpcState) enter(bounded bool) (goes bool) {
	bit := uint32(stateUnbounded)
	if bounded {
		bit = statePlaced
	}
	return s.set(bit)&stateOver == 0
}

// leave gives up the place that enter has taken.
func (s *rpcState) leave() { s.bits.And(^uint32(statePlaced)) }

// end makes the RPC over. It reports whether the RPC has to be released, too.
func (s *rpcState) end() (releases bool) {
	return s.set(stateOver)&(stateBegun|stateDispatched|stateOver) == stateBegun
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

// isOver reports whether the RPC has ended. With rpc.mu held, it stays so.
func (s *rpcState) isOver() bool { return s.has(stateOver) }

// isEnding reports whether the RPC has ended, or is about to since its stream has. Of a bare one, only the former is known.
func (s *rpcState) isEnding() bool { return s.has(stateOver | stateRemoved) }

// hasEntered reports whether the handler runs.
func (s *rpcState) hasEntered() bool { return s.has(statePlaced | stateUnbounded) }

// isDispatched reports whether the RPC has gone to where its handler runs.
func (s *rpcState) isDispatched() bool { return s.has(stateDispatched) }

// isReleased reports whether no handler runs any more or will.
func (s *rpcState) isReleased() bool { return s.has(stateReleased) }

// hasPlace reports whether the handler has one of a bounded number of places.
func (s *rpcState) hasPlace() bool { return s.has(statePlaced) }

// requestState is how much of an RPC's request has come. The reader owns it:
//
//	      message        message
//	none ─────────▶ one ─────────▶ several ─┐ message
//	                                  ▲─────┘
//
// In each of them END_STREAM may come (finish), once, after which no message does; and what still comes may be of no use any
// more (ignore).
type requestState uint8

const (
	requestOne requestState = 1 << iota
	requestSeveral
	requestFinished
	requestIgnored
)

// message says that a message has come as a whole.
func (s *requestState) message() {
	if *s&requestOne != 0 {
		*s |= requestSeveral
	}
	*s |= requestOne
}

func (s *requestState) finish() { *s |= requestFinished }
func (s *requestState) ignore() { *s |= requestIgnored }

// one reports whether there is one message, and no other so far.
func (s requestState) one() bool { return s&(requestOne|requestSeveral) == requestOne }

// several reports whether there are more messages than a method takes that has one request.
func (s requestState) several() bool { return s&requestSeveral != 0 }

func (s requestState) finished() bool { return s&requestFinished != 0 }
func (s requestState) ignored() bool  { return s&requestIgnored != 0 }
