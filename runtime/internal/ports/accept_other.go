//go:build !linux

package ports

import "net"

// AcceptQueued finds nothing: only on Linux can the queue be served. Elsewhere the kernel resets the connections that wait
// there when the listener is closed.
func (p *Port) AcceptQueued() (nc net.Conn, peer net.Addr) { return nil, nil }
