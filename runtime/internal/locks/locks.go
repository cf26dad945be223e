// Package locks has the mutexes of the runtime, and says in which order a goroutine may take them.
//
// The type of a [Mutex] names its place in the order. A goroutine that holds one takes only those of later places, and never
// two of the same place, unless the place says otherwise. So goroutines cannot wait for each other in a circle.
//
// In a build with the tag lockorder, which make lockorder tests, a goroutine that breaks this rule ends the process, and both
// places are named. In all other builds a Mutex is a sync.Mutex, and its place costs nothing.
//
// Of two accounts the check cannot tell the part from the whole. The tests of package budget take care of those: they go
// through the interleavings of its steps.
//
// No goroutine waits for a client with a mutex held. Package runtime says which are held while the application's code runs.
package locks

// The places, outermost first.
type (
	Long       struct{} // Server.changing, deadlines.looking, ServerStream.mu: one goroutine at a time does something long
	RPC        struct{} // rpc.mu
	Connection struct{} // http2.Conn.mu
	Records    struct{} // of TLS, below a connection
	Account    struct{} // of a connection, and then that of the server: a goroutine may hold two
	Alone      struct{} // all others: with one of these held, nothing else is locked
)

func (Long) rank() int       { return 1 }
func (RPC) rank() int        { return 2 }
func (Connection) rank() int { return 3 }
func (Records) rank() int    { return 4 }
func (Account) rank() int    { return 5 }
func (Alone) rank() int      { return 6 }

// place is one of them. The outermost has the lowest rank.
type place interface{ rank() int }
