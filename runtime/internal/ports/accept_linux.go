package ports

import (
	"net"
	"os"
	"strconv"
	"syscall"
)

// AcceptQueued accepts a connection that waits in the listener's queue, and does not wait for one: it returns nil. Accept
// cannot be used for that, since after Interrupt it does not look. peer is not nil if the connection does not know its
// client's address any more, which the client can bring about by a reset.
func (p *Port) AcceptQueued() (nc net.Conn, peer net.Addr) {
	socket, ok := p.listener.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, nil
	}
	fd, from := -1, syscall.Sockaddr(nil)
	raw.Control(func(listening uintptr) {
		for err = syscall.EINTR; err == syscall.EINTR || err == syscall.ECONNABORTED; {
			fd, from, err = syscall.Accept4(int(listening), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		}
	})
	if fd < 0 {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	if nc, err = net.FileConn(file); err != nil {
		return nil, nil
	}
	if nc.RemoteAddr() == nil {
		peer = Known(addrOf(from))
	}
	return nc, peer
}

// addrOf returns the address that the system has told, or nil.
func addrOf(from syscall.Sockaddr) net.Addr {
	switch from := from.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: from.Addr[:], Port: from.Port}
	case *syscall.SockaddrInet6:
		addr := &net.TCPAddr{IP: from.Addr[:], Port: from.Port}
		if from.ZoneId != 0 {
			addr.Zone = strconv.Itoa(int(from.ZoneId))
		}
		return addr
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Net: "unix", Name: from.Name}
	}
	return nil
}
