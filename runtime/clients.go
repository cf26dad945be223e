package runtime

import (
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// arrival is a connection that was accepted, until it is one of HTTP/2.
type arrival struct {
	nc        net.Conn
	peer      net.Addr  // nil: nc knows
	setupEnd  time.Time // when the client's first SETTINGS frame has to be there
	opened    time.Time // when it was accepted
	id        ConnectionID
	observers *connectionObservers // nil: there are none
	err       error                // why it does not become a connection; nil: the server has stopped
}

// address is the client's address for the log.
func (a *arrival) address() string {
	if a.peer != nil {
		return logtext.Address(a.peer)
	}
	return logtext.Address(a.nc.RemoteAddr())
}

// observe asks observers whether they care for the connection.
func (a *arrival) observe(s *shared) {
	if len(s.observers) == 0 {
		return
	}
	p := &peer.Peer{Addr: a.peer, LocalAddr: ports.Known(a.nc.LocalAddr())}
	if p.Addr == nil {
		p.Addr = ports.Known(a.nc.RemoteAddr())
	}
	a.observers = observeConnection(s, ConnectionInfo{ID: a.id, Peer: p, Opened: a.opened})
}

// limitHandshake gives a client that is in the middle of its handshake, while the server stops, a second for the rest.
func (a *arrival) limitHandshake() { a.nc.SetReadDeadline(time.Now().Add(time.Second)) }

// shutdown is how far a server has got in sending its clients away. It only grows.
type shutdown uint8

const (
	noShutdown shutdown = iota
	portsClose          // no client can connect any more, and a handshake under way is limited
	goAway              // clients have been asked to open no more streams, and new ones are as they come
	cutOff              // the grace is over: everything ends
)

// clients are the arrivals and connections of a server, how far their shutdown has got, and the totals of those that have
// ended. It holds no lock while it calls one of them.
//
// A client may come at the moment when the shutdown goes further. Either advance returns it then, or arrive and connect say
// that it has to be told: never both, which would ask it twice, and never neither, since the server would wait for it.
type clients struct {
	mu sync.Mutex
	// Guarded by mu.
	shutdown    shutdown
	arrivals    map[*arrival]struct{}
	connections map[*connection]struct{}
	accepted    uint64
	received    uint64 // octets, of the connections that have ended
	sent        uint64
}

func newClients() *clients {
	return &clients{arrivals: make(map[*arrival]struct{}), connections: make(map[*connection]struct{})}
}

// arrive adds an arrival, unless the grace is over, and returns how far the shutdown has got: what was asked of the others
// before is to be asked of this one.
func (c *clients) arrive(a *arrival) shutdown {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutdown < cutOff {
		c.accepted++
		a.id = ConnectionID(c.accepted)
		c.arrivals[a] = struct{}{}
	}
	return c.shutdown
}

// fail removes an arrival that does not become a connection.
func (c *clients) fail(a *arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.arrivals, a)
}

// connect puts a connection in the place of an arrival, as arrive does.
func (c *clients) connect(a *arrival, made *connection) shutdown {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.arrivals, a)
	if c.shutdown < cutOff {
		c.connections[made] = struct{}{}
	}
	return c.shutdown
}

// remove removes a connection that has ended.
func (c *clients) remove(ended *connection) {
	received, sent := ended.h2.Octets() // they move to the totals at one moment: Stats sees them once
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.connections, ended)
	c.received += received
	c.sent += sent
}

// all returns the connections.
func (c *clients) all() []*connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.connections))
}

// advance takes the shutdown further, and returns the arrivals and connections that this concerns: none, if it has got so
// far already.
func (c *clients) advance(to shutdown) (arrivals []*arrival, connections []*connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.shutdown
	if to <= from {
		return nil, nil
	}
	c.shutdown = to
	if from < portsClose || to == cutOff {
		arrivals = slices.Collect(maps.Keys(c.arrivals))
	}
	if to >= goAway {
		connections = slices.Collect(maps.Keys(c.connections))
	}
	return arrivals, connections
}

// addTo adds the numbers of the clients.
func (c *clients) addTo(stats *ServerStats) {
	c.mu.Lock()
	connections := slices.Collect(maps.Keys(c.connections)) // at one moment with the totals of the others
	stats.Accepted += c.accepted
	stats.ReceivedBytes += c.received
	stats.SentBytes += c.sent
	c.mu.Unlock()
	for _, each := range connections {
		each.addTo(stats)
	}
}
