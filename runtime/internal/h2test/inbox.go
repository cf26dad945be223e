package h2test

import (
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Inbox reads a connection on a goroutine of its own, for peers that cannot look at what has come one frame after the other.
// Its mutex guards what they make of it.
type Inbox struct {
	sync.Mutex
	Changed *sync.Cond // broadcast after each frame
	Err     error      // why nothing more will be read; nil as long as something may come

	reading sync.WaitGroup
}

// NewInbox returns an inbox that does not read yet.
func NewInbox() *Inbox {
	in := new(Inbox)
	in.Changed = sync.NewCond(in)
	return in
}

// Start begins to read. process is called for each frame, with the mutex held; a field block is one [http2.MetaHeadersFrame].
func (in *Inbox) Start(nc net.Conn, process func(http2.Frame)) {
	in.reading.Go(func() {
		framer := http2.NewFramer(nil, nc)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			f, err := framer.ReadFrame()
			in.Lock()
			if in.Err = err; err == nil {
				process(f)
			}
			in.Changed.Broadcast()
			in.Unlock()
			if err != nil {
				return
			}
		}
	})
}

// Join waits until nothing more is read. The connection has been closed, or is over by itself.
func (in *Inbox) Join() { in.reading.Wait() }

// Change changes what the mutex guards, and wakes those who wait for it.
func (in *Inbox) Change(change func()) {
	in.Lock()
	defer in.Unlock()
	change()
	in.Changed.Broadcast()
}

// Wait waits until holds reports true, which is called with the mutex held. It reports false if that has taken too long.
func (in *Inbox) Wait(patience time.Duration, holds func() bool) bool {
	expired := false
	timer := time.AfterFunc(patience, func() { in.Change(func() { expired = true }) })
	defer timer.Stop()
	in.Lock()
	defer in.Unlock()
	for !holds() {
		if expired {
			return false
		}
		in.Changed.Wait()
	}
	return true
}
