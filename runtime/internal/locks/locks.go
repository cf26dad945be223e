// Package locks has the mutexes of the runtime, and the order in which a goroutine may take them. A [Mutex] is a sync.Mutex
// with its place in that order as a type. In builds with the tag lockorder, which make lockorder tests, a goroutine that takes
// one out of order panics. In all other builds nothing is left of the place.
//
// # The order
//
// A goroutine that holds a mutex may take those below it only. Outermost first:
//
//	Dictionary   Server.changing: the dispatch dictionary is made anew
//	Looking      deadlines.looking: the alarm of a connection looks at all of its RPCs
//	Outer        of the server (lifecycle, clients), of an untyped handler's stream, and of an inline runner
//	RPC          rpc.mu, and that of a rehearsal, which is in its place
//	Connection   http2.Conn.mu
//	Records      of TLS, below a connection
//	Inner        of what may be used with any of those above held, and uses nothing itself: counters, deadlines, run queues, places
//	Pool         of workers
//	Account      of a connection, and then that of the server
//
// [Account] is the one place that a goroutine may hold twice: budget.Budget locks a part before the whole.
//
// No goroutine waits for a client with one held. Package runtime says which are held while the application's code runs.
package locks

import "sync"

// place is a type that stands for a place in the order.
type place interface{ rank() rank }

// rank is a place as a number: the outermost has the lowest.
type rank int8

// The places, outermost first.
type (
	Dictionary struct{}
	Looking    struct{}
	Outer      struct{}
	RPC        struct{}
	Connection struct{}
	Records    struct{}
	Inner      struct{}
	Pool       struct{}
	Account    struct{}
)

func (Dictionary) rank() rank { return 0 }
func (Looking) rank() rank    { return 1 }
func (Outer) rank() rank      { return 2 }
func (RPC) rank() rank        { return 3 }
func (Connection) rank() rank { return 4 }
func (Records) rank() rank    { return 5 }
func (Inner) rank() rank      { return 6 }
func (Pool) rank() rank       { return 7 }
func (Account) rank() rank    { return account }

const account rank = 8

var _ sync.Locker = (*Mutex[RPC])(nil)
