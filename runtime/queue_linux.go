package runtime

import (
	"net"
	"os"
	"syscall"
)

// acceptQueued accepts a connection that waits in the queue of a listener, and does not wait for one: it returns nil.
// The listener's own Accept cannot be used for that, since a deadline that has passed keeps it from looking.
func acceptQueued(l net.Listener) net.Conn {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	raw.Control(func(listening uintptr) {
		for err = syscall.EINTR; err == syscall.EINTR || err == syscall.ECONNABORTED; {
			fd, _, err = syscall.Accept4(int(listening), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		}
	})
	if fd < 0 {
		return nil
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	nc, err := net.FileConn(file)
	if err != nil {
		return nil
	}
	return nc
}
