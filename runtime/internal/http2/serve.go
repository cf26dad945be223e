package http2

import (
	"errors"
	"math"
	"net"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// newConn returns a connection on nc. It has no role yet.
func newConn(nc net.Conn, app Events, config *Config, account *budget.Budget) *Conn {
	c := &Conn{config: config, app: app, nc: socket.New(nc), account: account}
	c.in = inbound{
		floods: newFloods(config),
		upkeep: newUpkeep(config),
		fields: fields.NewDecoder(config.MaxHeaderListBytes, config.MaxHeaderFields),
	}
	c.beginWindows()
	c.peerMaxList.Store(math.MaxInt32) // RFC 9113, Section 6.5.2: "The initial value of this setting is unlimited."
	c.streams = streams{open: make(map[uint32]*Stream), limit: math.MaxUint32, idleSince: clock.Now()}
	c.out = outbox{maxPending: config.MaxPendingBytes, peerWindow: defaultWindow, window: defaultWindow, tableSize: defaultTableSize}
	c.out.stall = stall{account: account, after: config.WriteTimeout, checkProgressFunc: c.checkProgress}
	c.credit.claim = budget.Claim{Line: budget.ForWindow, Granted: c.grantWindow}
	c.life = lifetime{nc: c.nc, app: app}
	return c
}

// announce appends the first of our frames.
func (c *Conn) announce(settings ...setting) {
	c.out.buf = appendSettings(c.out.buf, settings...)
	if more := c.windows.conn - defaultWindow; more > 0 {
		c.out.buf = appendWindowUpdate(c.out.buf, 0, uint32(more))
	}
}

// Serve reads the connection until it ends, and returns the reason: nil after Shutdown or End. It closes the socket,
// and calls HandleClose for each stream that is left.
//
// If a method of the application's ends the goroutine (runtime.Goexit), another goroutine may call Serve again to
// continue. It may do so even while HandleData of a [StreamHandler] still runs, if that call will end its goroutine and
// not return.
func (c *Conn) Serve() error { return c.close(c.serve()) }

// ServeBy is Serve for a connection that is not HTTP/2's: serve has others read and write it, and returns. It lasts until they
// call done, or until End. serve must not use the Conn; it is not called if that is about to end.
func (c *Conn) ServeBy(serve func(nc net.Conn, done func())) error { return c.close(c.passOn(serve)) }

// serve is the serve loop: read, process the frames that are there, flush the answers, and repeat.
func (c *Conn) serve() error {
	if c.in.preface == prefaceDue {
		c.watchSetup()
		c.role.begin()
	} else if err := c.processBatch(0); err != nil { // what the previous reader has left
		return err
	}
	for {
		n, err := c.nc.Fill(&c.in.buf)
		// A read may return both: octets, and the error that follows them.
		if n > 0 {
			if err := c.processBatch(n); err != nil {
				return err
			}
		}
		if err != nil {
			if err = c.onReadError(err); err != nil {
				return err
			}
		}
	}
}

// processBatch processes a batch: n octets of input, behind what was left of the batch before. It returns an error only if
// the peer does not speak HTTP/2; other errors end the connection by GOAWAY.
func (c *Conn) processBatch(n int) error {
	c.in.buf.end += n
	c.received.Add(uint64(n))
	c.in.upkeep.lastRead = clock.Now()
	if c.waitForWriter() {
		c.in.buf.drop() // the connection has ended; what is still read is thrown away
		c.flushBatch()  // the reader before may have ended behind the last answer
		return nil
	}
	if c.in.preface == prefaceDue {
		if done, err := c.role.takePreface(); !done {
			return err
		}
		c.mu.Lock()
		c.in.preface = settingsDue
		c.mu.Unlock()
	}
	if err := c.processFrames(); err != nil {
		c.fail(err)
	}
	if c.in.estimate.endBatch(c.in.upkeep.lastRead) {
		c.measure()
	}
	c.app.EndBatch() // before the write, which takes its time: the handlers of the batch can begin
	c.flushBatch()
	return nil
}

// flushBatch flushes if that is due.
func (c *Conn) flushBatch() {
	if c.in.flushDue {
		c.in.flushDue = false
		c.Flush()
	}
}

// Abandon ends a connection that has lost its reader: Serve has panicked, and is not called again.
func (c *Conn) Abandon() { c.close(ErrConnClosed) }

// close closes the socket, frees what the connection held, and closes its streams.
func (c *Conn) close(err error) error {
	c.mu.Lock()
	c.life.stage = lingering // a write would prolong the close, with TLS
	c.mu.Unlock()
	// Close waits for a write under way, and the writer then waits for mu.
	c.nc.Close()
	c.mu.Lock()
	c.life.stopTimers()
	c.out.stall.stop()
	c.life.setErr(err)
	err = c.life.err
	c.out.drop()
	c.account.Drop(&c.credit.claim)
	c.out.signalWritten()
	c.recantLocked(0)
	c.mu.Unlock()
	c.closeStreams()
	var end endOfConn
	if errors.As(err, &end) {
		return nil
	}
	return err
}
