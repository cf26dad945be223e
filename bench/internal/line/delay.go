// Package line has lines between clients and servers that are slower than a loopback interface.
package line

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Delay starts a proxy in front of a server, on a free port. What either side sends arrives at the other oneWay later; the
// bandwidth has no limit, and neither has what is on its way. close ends the proxy and all of its connections, and returns
// when its goroutines have ended.
func Delay(addr string, oneWay time.Duration) (proxyAddr string, close func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	p := &proxy{listener: listener, target: addr, oneWay: oneWay, open: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	return listener.Addr().String(), p.close, nil
}

// proxy connects each of its clients to the target.
type proxy struct {
	listener net.Listener
	target   string
	oneWay   time.Duration
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// accept is the accept loop.
func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(client) })
	}
}

// connect connects a client to the target until both sides have ended.
func (p *proxy) connect(client net.Conn) {
	defer p.forget(client)
	if !p.keep(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	var directions sync.WaitGroup
	directions.Go(func() { p.carry(server, client) })
	directions.Go(func() { p.carry(client, server) })
	directions.Wait()
}

// piece is what one read has returned.
type piece struct {
	octets []byte
	err    error // the end of the direction
	due    time.Time
}

// carry brings what one side sends to the other, with the delay, until it ends.
func (p *proxy) carry(to, from net.Conn) {
	var mu sync.Mutex
	arrived := sync.NewCond(&mu)
	var way []piece // on their way
	p.running.Go(func() {
		for {
			octets := make([]byte, 64<<10)
			n, err := from.Read(octets)
			mu.Lock()
			way = append(way, piece{octets[:n], err, time.Now().Add(p.oneWay)})
			mu.Unlock()
			arrived.Signal()
			if err != nil {
				return
			}
		}
	})
	for {
		mu.Lock()
		for len(way) == 0 {
			arrived.Wait()
		}
		next := way[0]
		way = way[1:]
		mu.Unlock()
		time.Sleep(time.Until(next.due))
		if _, err := to.Write(next.octets); err != nil {
			from.Close() // ends the reads
			return
		}
		if next.err != nil {
			end(to, next.err)
			return
		}
	}
}

// end tells a side that the other has ended: in good order, or not.
func end(to net.Conn, err error) {
	if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
		half.CloseWrite()
		return
	}
	to.Close()
}

// keep notes a connection, for close to end it. It reports false if the proxy has been closed.
func (p *proxy) keep(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.open[nc] = struct{}{}
	}
	return !p.closed
}

// forget closes a connection.
func (p *proxy) forget(nc net.Conn) {
	nc.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, nc)
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for nc := range p.open {
		nc.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
