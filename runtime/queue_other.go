//go:build !linux

package runtime

import "net"

// acceptQueued is only there on Linux. Elsewhere the kernel resets the connections that wait in the queue of a listener
// when that is closed.
func acceptQueued(net.Listener) (nc net.Conn, peer net.Addr) { return nil, nil }
