// Package openload makes load at a fixed rate, in an open loop: an RPC is due at a time that no earlier RPC changes, and
// its latency counts from then. A client that waits for answers before it sends more is slowed by a slow server, and
// leaves out those RPCs that would have waited longest (coordinated omission).
//
// One thread paces and reads all connections, with timers that are exact to some microseconds, so that the latencies are
// the server's. It is meant to be a process of its own, without other goroutines: see the command open_load.
package openload

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

// Load is a number of equal unary RPCs with small messages.
type Load struct {
	Address     string // of the server: an IP address and a port
	Connections int    // on which RPCs begin in turn
	Rate        float64
	AtOnce      int           // if Rate is 0: so many RPCs are open, and each is followed by the next
	WarmUp      time.Duration // RPCs that are due in it are sent, but not counted
	Duration    time.Duration // after WarmUp; what was sent then is still waited for, see drainLimit

	Path    string // of the method
	Message []byte // the request, as a Length-Prefixed-Message of at most 16 KiB
	Reply   int    // octets of the response, as a Length-Prefixed-Message
}

// Result is what a load has seen of the RPCs that were counted.
type Result struct {
	Messages             int
	All                  int           // RPCs, those of WarmUp included
	Unanswered           int           // RPCs that had no answer at the end, and are counted as if it had come then
	Rate                 float64       // answers per second; less than Load.Rate if the server can't keep up
	P50, P99, P999, Most time.Duration // from the time an RPC was due to its end
	Lag                  time.Duration // 99 % of RPCs were begun that much after they were due, at most: the client's own part
}

// How long is waited for the connections, and for unanswered RPCs in the end.
const (
	connectLimit = 20 * time.Second
	drainLimit   = 5 * time.Second
)

var errTooLarge = errors.New("the request does not fit in one frame")

func (l Load) check() error {
	switch {
	case len(l.Message) > frames.MaxPayload:
		return errTooLarge
	case l.Connections <= 0 || l.Duration <= 0:
		return errors.New("a load has connections and a duration")
	case l.Rate <= 0 && l.AtOnce <= 0:
		return errors.New("a load has a rate, or a number of RPCs at once")
	}
	return nil
}

// expected returns how many RPCs there will be, warming up included, or more than there are likely to be if no rate is given.
func (l Load) expected() int {
	rate := l.Rate
	if rate == 0 {
		rate = 500_000
	}
	return int(rate*(l.WarmUp+l.Duration).Seconds()) + 1
}

// summarize returns the result of RPCs that took so long, the last of which ended at end after the first was due.
func summarize(waits, lags []time.Duration, end time.Duration) (Result, error) {
	if len(waits) == 0 || end <= 0 {
		return Result{}, fmt.Errorf("%d RPCs were counted in %v", len(waits), end)
	}
	slices.Sort(waits)
	slices.Sort(lags)
	return Result{
		Messages: len(waits), Rate: float64(len(waits)) / end.Seconds(),
		P50: quantile(waits, 0.5), P99: quantile(waits, 0.99), P999: quantile(waits, 0.999), Most: waits[len(waits)-1],
		Lag: quantile(lags, 0.99),
	}, nil
}

// quantile returns the smallest value that at least this part of them does not exceed.
func quantile[T cmp.Ordered](sorted []T, part float64) (value T) {
	if len(sorted) == 0 {
		return value
	}
	n := int(part * float64(len(sorted)))
	if float64(n) < part*float64(len(sorted)) {
		n++
	}
	return sorted[max(n, 1)-1]
}
