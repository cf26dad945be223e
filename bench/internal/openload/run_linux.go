package openload

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// generator is a load that runs. One thread uses it.
type generator struct {
	load        Load
	connections []*connection
	descriptors []unix.PollFd // of the connections, in the same order
	start       time.Time     // all other times are since then
	begun       int           // RPCs
	open        int           // RPCs that have not ended
	last        time.Duration // when the last RPC that counts has ended
	waits, lags []time.Duration
}

// Run puts the load on the server. The goroutine that calls it keeps its thread, and no other gets that: its priority is changed.
func (l Load) Run() (Result, error) {
	if err := l.check(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	if err := l.punctual(); err != nil {
		return Result{}, err
	}
	g := &generator{load: l}
	// A slice that grows is copied, which takes longer than an RPC.
	g.waits, g.lags = make([]time.Duration, 0, l.expected()), make([]time.Duration, 0, l.expected())
	defer g.close()
	if err := g.connect(); err != nil {
		return Result{}, err
	}
	g.start = time.Now()
	if err := g.run(); err != nil {
		return Result{}, err
	}
	unanswered := g.giveUp()
	result, err := summarize(g.waits, g.lags, g.last-l.WarmUp)
	result.All, result.Unanswered = g.begun, unanswered
	result.Rate *= 1 - float64(unanswered)/float64(max(result.Messages, 1))
	return result, err
}

// punctual has the thread run when it wants to. Timers are late by 50 µs unless a thread says that it minds. Where this is
// allowed, the thread comes before all that have no deadline, the server's among them: it has to see when an answer comes, and
// to sleep is most of what it does. Real time without a deadline (SCHED_FIFO) is not enough: on a busy machine, the thread was late by 20
// to 50 ms now and then. Linux reserves 50 ms of each second for everything else, which may be why. Result.Lag says how well it went.
func (l Load) punctual() error {
	if l.Rate > 0 {
		attributes := unix.SchedAttr{
			Size: unix.SizeofSchedAttr, Policy: unix.SCHED_DEADLINE, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
			Runtime: 700_000, Deadline: 1_000_000, Period: 1_000_000, // ns
		}
		unix.SchedSetAttr(0, &attributes, 0)
	}
	return unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// connect opens the connections, and waits until their settings are known.
func (g *generator) connect() error {
	for range g.load.Connections {
		c, err := dial(g)
		if err != nil {
			return err
		}
		g.connections = append(g.connections, c)
		g.descriptors = append(g.descriptors, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
	}
	end := time.Now().Add(connectLimit)
	for _, c := range g.connections {
		for !c.acknowledged {
			if time.Now().After(end) {
				return fmt.Errorf("no SETTINGS within %v", connectLimit)
			}
			if err := g.turn(time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *generator) close() {
	for _, c := range g.connections {
		unix.Close(c.fd)
	}
}

func (g *generator) now() time.Duration { return time.Since(g.start) }

// run sends what is due and takes what comes until all RPCs have ended, or drainLimit has passed.
func (g *generator) run() error {
	end := g.load.WarmUp + g.load.Duration
	for {
		now := g.now()
		switch {
		case g.load.Rate > 0:
			g.sendDue(now, end)
		case now < end:
			g.fill(now)
		}
		wait := g.untilDue(now, end)
		if wait <= 0 && g.open > 0 {
			wait = end + drainLimit - now
		}
		if wait <= 0 {
			return nil
		}
		if err := g.turn(wait); err != nil {
			return err
		}
	}
}

// due returns when the n-th RPC is to begin.
func (g *generator) due(n int) time.Duration {
	return time.Duration(float64(n) / g.load.Rate * float64(time.Second))
}

// untilDue returns how long there is nothing to send: 0 if nothing is to be sent any more.
func (g *generator) untilDue(now, end time.Duration) time.Duration {
	next := end
	if g.load.Rate > 0 {
		next = g.due(g.begun)
		if next >= end {
			return 0
		}
	}
	if next <= now && next < end {
		return 1 // it has become due meanwhile
	}
	return max(next-now, 0)
}

// sendDue begins all RPCs whose time has come.
func (g *generator) sendDue(now, end time.Duration) {
	for due := g.due(g.begun); due <= now && due < end; due = g.due(g.begun) {
		if due >= g.load.WarmUp {
			g.lags = append(g.lags, now-due)
		}
		g.begin(due)
	}
}

// fill begins RPCs until as many are open as are wanted.
func (g *generator) fill(now time.Duration) {
	for g.open < g.load.AtOnce {
		g.begin(now)
	}
}

func (g *generator) begin(due time.Duration) {
	c := g.connections[g.begun%len(g.connections)]
	g.begun++
	g.open++
	c.waiting = append(c.waiting, due)
}

// ended counts an RPC that has ended.
func (g *generator) ended(due, now time.Duration) {
	g.open--
	if due < g.load.WarmUp {
		return
	}
	g.waits = append(g.waits, now-due)
	g.last = now
}

// giveUp counts the RPCs that have not been answered, and returns how many of them there are.
func (g *generator) giveUp() (n int) {
	now := g.now()
	counted := len(g.waits)
	for _, c := range g.connections {
		for _, due := range c.unanswered() {
			g.ended(due, now)
		}
	}
	return len(g.waits) - counted
}

// turn writes what there is to write, waits for as long as said at most, and takes what has come.
func (g *generator) turn(wait time.Duration) error {
	for i, c := range g.connections {
		if err := c.flush(); err != nil {
			return err
		}
		g.descriptors[i].Events = unix.POLLIN
		if len(c.out) > 0 {
			g.descriptors[i].Events |= unix.POLLOUT
		}
	}
	timeout := unix.NsecToTimespec(wait.Nanoseconds())
	n, err := unix.Ppoll(g.descriptors, &timeout, nil)
	if err == unix.EINTR || n == 0 {
		return nil
	} else if err != nil {
		return err
	}
	for i, c := range g.connections {
		if g.descriptors[i].Revents&^unix.POLLOUT == 0 {
			continue
		}
		if err := c.receive(); err != nil {
			return err
		}
	}
	return nil
}
