//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package handover

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen listens at a TCP address ("tcp", "tcp4" or "tcp6") where other processes of the same user may listen too, with
// SO_REUSEPORT. Of several sockets the kernel chooses one for each new connection.
func Listen(ctx context.Context, network, address string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var err error
		if failed := socket.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); failed != nil {
			return failed
		}
		return err
	}}
	return config.Listen(ctx, network, address)
}
