package runtime

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
)

// Connections iterates over the connections that are open, in the order in which they were accepted. Those whose handshake is
// under way do not belong to them. What it yields are copies, each of the moment at which it is yielded.
func (s *Server) Connections() iter.Seq[ConnectionInfo] {
	return func(yield func(ConnectionInfo) bool) {
		all := s.clients.all()
		slices.SortFunc(all, func(a, b *connection) int { return cmp.Compare(a.id, b.id) })
		for _, c := range all {
			info := c.info()
			info.Peer = c.peerInfo()
			if !yield(info) {
				return
			}
		}
	}
}

// RPCs iterates over the RPCs of a connection in the order in which they began, including those that are over and whose
// handlers still run. There are none if the connection has ended. What it yields are copies, each of the moment at which it is
// yielded. It takes the locks of one RPC after another, for a moment each: a page that shows all of them costs RPCs little, but
// is not for a loop.
func (s *Server) RPCs(id ConnectionID) iter.Seq[RPCInfo] {
	return func(yield func(RPCInfo) bool) {
		c := s.connection(id)
		if c == nil {
			return
		}
		client := c.peerInfo()
		for _, r := range c.inspected() {
			if info, ok := r.inspect(); ok {
				info.ID.Connection, info.Peer = id, client
				if !yield(info) {
					return
				}
			}
		}
	}
}

// CancelRPC ends an RPC with CANCELLED, as [Cancel] does. Its handler goes on until it returns. It reports false if there is no
// such RPC, or if it is over.
func (s *Server) CancelRPC(id RPCID) bool {
	c := s.connection(id.Connection)
	if c == nil || id.Number > math.MaxUint32 {
		return false
	}
	st := c.h2.Stream(uint32(id.Number))
	if st == nil {
		return false
	}
	r := st.Handler.(*rpc)
	if !r.state.hasBegun() || r.state.isEnding() {
		return false
	}
	r.abort(outcomeCancelled, context.Canceled)
	c.h2.Flush()
	return true
}

// connection returns a connection by its id; nil if it is not open.
func (s *Server) connection(id ConnectionID) *connection {
	all := s.clients.all()
	if i := slices.IndexFunc(all, func(c *connection) bool { return c.id == id }); i >= 0 {
		return all[i]
	}
	return nil
}

// inspected returns the RPCs of the connection, each once, in the order of their streams.
func (c *connection) inspected() (all []*rpc) {
	all = c.rpcs()
	for _, r := range c.unreleased.all() {
		all = append(all, r.(*rpc))
	}
	slices.SortFunc(all, func(a, b *rpc) int { return cmp.Compare(a.stream.ID(), b.stream.ID()) })
	return slices.Compact(all)
}

// inspect returns a snapshot of the RPC, without its connection. ok is false if the RPC has not begun, or was refused.
func (r *rpc) inspect() (info RPCInfo, ok bool) {
	if !r.state.hasBegun() {
		return RPCInfo{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	info = r.describe()
	info.State = r.stateLocked()
	if !r.deadline.IsZero() {
		info.Deadline = r.deadline.Time()
	}
	if o := r.observed; o != nil {
		info.Begun, info.Received, info.Sent = o.info.Begun, o.received.count(), o.sent.count()
	}
	return info, true
}

// stateLocked says where the RPC is in its life.
func (r *rpc) stateLocked() RPCState {
	over, entered := r.state.hasEnded(), r.state.hasEntered()
	switch {
	case over && !r.state.isReleased():
		return RPCOver
	case !over && !r.state.isDispatched(), !over && entered && r.requests.handlerWaits:
		return RPCReceiving
	case !over && !entered && r.session.account.InLine(r.ending.admission):
		return RPCHeldBack
	case !over && !entered:
		return RPCQueued
	case r.stream.Blocked():
		return RPCBlocked
	case over || r.stream.Full():
		return RPCSending
	}
	return RPCRunning
}
