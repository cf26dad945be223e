package runtime

import (
	"log/slog"
	"net"
	"testing"
)

// TestClients takes the shutdown from each of its steps to each other, and has a client come then: all are asked for
// everything once, whether they were there before or come later.
func TestClients(t *testing.T) {
	s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	for from := range forceClosed + 1 {
		for to := range forceClosed + 1 {
			c := newClients()
			_, server := net.Pipe()
			waits, becomes := &pendingConn{nc: server}, &pendingConn{nc: server}
			made := newConnection(&s.serverState, server, nil, nil)
			c.addPending(waits)
			c.addPending(becomes)
			c.promotePending(becomes, made)
			c.advance(from)
			pending, connections := c.advance(to)
			wantPending := to > from && (from < listenersClosed || to == forceClosed)
			wantConnections := to > from && to >= clientsAskedToLeave
			if (len(pending) == 1) != wantPending || (len(connections) == 1) != wantConnections {
				t.Errorf("from %d to %d: %d pending and %d connections are told", from, to, len(pending), len(connections))
			}
			late, other := &pendingConn{nc: server}, newConnection(&s.serverState, server, nil, nil)
			reached := max(from, to)
			if got := c.addPending(late); got != reached {
				t.Errorf("from %d to %d: who arrives is told %d", from, to, got)
			}
			if got := c.promotePending(waits, other); got != reached {
				t.Errorf("from %d to %d: who connects is told %d", from, to, got)
			}
			n := 2
			if reached == forceClosed {
				n = 1
			}
			if len(c.all()) != n || len(c.pending) != n-1 {
				t.Errorf("from %d to %d: there are %d connections and %d pending", from, to, len(c.all()), len(c.pending))
			}
			c.fail(late)
			c.remove(made)
			c.remove(other)
			if len(c.all()) != 0 || len(c.pending) != 0 {
				t.Errorf("from %d to %d: there are still %d connections and %d pending", from, to, len(c.all()), len(c.pending))
			}
		}
	}
}
