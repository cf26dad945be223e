package frameload

import (
	"errors"
	"math"
	"net"
)

// Background is a load on one connection that runs until it is stopped, beside something that is measured.
type Background struct {
	connection *connection
	ended      chan error
}

// Start puts the load on the server at address. Its Connections and Rounds do not count: there is one connection, and
// there is no end. It takes no latencies.
func (l Load) Start(address string) (*Background, error) {
	l.Rounds, l.Untimed = math.MaxInt, true
	c, err := l.dial(address)
	if err != nil {
		return nil, err
	}
	b := &Background{c, make(chan error, 1)}
	go func() {
		_, err := c.run()
		b.ended <- err
	}()
	return b, nil
}

var errNoLoad = errors.New("there was no load: no message was exchanged")

// Stop ends the load, and returns how many messages were exchanged. It fails if the load had ended before, or never began.
func (b *Background) Stop() (messages int, err error) {
	select {
	case err = <-b.ended:
		b.connection.nc.Close()
	default:
		b.connection.nc.Close()
		err = <-b.ended
	}
	messages = b.connection.result.Messages
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if err == nil && messages == 0 {
		err = errNoLoad
	}
	return messages, err
}
