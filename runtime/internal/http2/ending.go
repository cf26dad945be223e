package http2

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// stage is how far the end of a connection is. It only grows:
//
//	serving ──Shutdown──▶ goAwaySent ──PING is back, or it is too late──▶ finalGoAwaySent
//	   │                     │                                              │  │
//	   │                     │               the last stream has ended, or there is none
//	   │                     │                                              │  │
//	   └──an error, or End───┴──an error, or End──────────────▶ ending ◀────┴──┘
//	                                                              │
//	                                                     all has been written
//	                                                              ▼
//	      from any stage: a write fails, or reading ends ───▶ lingering ──the peer closes, or lingerTime──▶ closed
//
// A connection whose peer speaks another protocol goes from serving to passedOn, and then to closed.
//
// Closed is when Serve has returned. The beginning of a connection is another matter, the reader's: see prefaceState.
type stage uint8

// The stages, in their order.
const (
	serving         stage = iota
	goAwaySent            // GOAWAY with the highest stream id has been sent; new streams are still served
	finalGoAwaySent       // GOAWAY with the last stream id has been sent; new streams are ignored
	ending                // nothing more will be appended; the socket is half-closed once all is written
	lingering             // half-closed; what arrives is thrown away
	passedOn              // others use the socket
)

// lifetime has the stage of a connection, and the reason and the timer of its end. Guarded by Conn.mu.
type lifetime struct {
	// Immutable.
	nc  *socket.Socket
	app interface{ Panicked(reason any) }

	stage stage
	err   error       // why the connection ended; nil while it lives
	setup *time.Timer // ends the setup, if the socket knows no deadlines
	timer *time.Timer // ends the wait for the PING of a shutdown, or the connection; nil: neither
}

// endOfConn is the error of a connection that ended in good order.
type endOfConn struct{}

// Error implements error.
func (endOfConn) Error() string { return "http2: connection ended" }

// recoverPanic is deferred by the connection's goroutines and timers.
func (l *lifetime) recoverPanic() {
	if reason := recover(); reason != nil {
		l.app.Panicked(reason)
		l.nc.Close() // the reader does the rest
	}
}

// setErr records why the connection ends. The first reason stays.
func (l *lifetime) setErr(err error) {
	if l.err == nil {
		l.err = err
	}
}

// closeAfterFlush ends the connection once what is in the out-buffer has been written.
func (l *lifetime) closeAfterFlush(writing bool) {
	l.stage = ending
	l.closeIn(endTime)
	l.nc.SetReadDeadline(time.Now().Add(endTime)) // a deadline that has passed would end the reader, and with it the socket, too early
	if writing {
		l.nc.SetWriteDeadline(time.Now().Add(lingerTime)) // a peer that does not read cannot hold us up
	}
}

// onNoStreams is called when no stream is left. It ends a connection that is being shut down; what has been appended still has
// to be flushed.
func (l *lifetime) onNoStreams() {
	if l.stage == finalGoAwaySent {
		l.setErr(endOfConn{})
		l.stage = ending
	}
}

// onAllWritten is called when all has been written. If the connection is ending, it half-closes the socket, and gives the
// peer lingerTime to close its side. Closing the socket at once could destroy what the peer has not read yet: data that
// arrives on a closed socket is answered with a TCP reset.
func (l *lifetime) onAllWritten() {
	if l.stage != ending {
		return
	}
	l.stage = lingering
	l.nc.CloseWrite()
	l.nc.SetReadDeadline(time.Now().Add(lingerTime))
	if l.timer == nil {
		l.closeIn(endTime) // the socket may know no deadlines
	}
}

// onWriteError is called when a write has failed: the connection is over.
func (l *lifetime) onWriteError(err error) {
	l.stage = lingering
	l.setErr(err)
	l.nc.Abort() // ends the reader, which does the rest
}

// closeIn closes the socket after a time, whatever the peer does. It works for sockets without deadlines too.
func (l *lifetime) closeIn(after time.Duration) {
	l.stopTimer()
	l.timer = time.AfterFunc(after, func() {
		defer l.recoverPanic()
		l.nc.Close()
	})
}

// stopTimer stops the timer, whichever end it is for.
func (l *lifetime) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// stopTimers stops all timers of a connection that is over.
func (l *lifetime) stopTimers() {
	l.stopTimer()
	if l.setup != nil {
		l.setup.Stop()
	}
}

// setReadDeadline sets when the reader gives up. A connection that is ending keeps the deadline it has.
func (l *lifetime) setReadDeadline(at time.Time) {
	if l.stage < ending {
		l.nc.SetReadDeadline(at)
	}
}
