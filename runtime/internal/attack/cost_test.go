package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// cost is what an attack has cost.
type cost struct {
	octets   int // sent on one connection
	held     int64
	cpu      time.Duration // for 1,000 octets
	reaction string
	wrong    string // with the victim afterwards
}

// hold plays a genome on one connection, and measures the most that it makes the victim hold. cost.wrong says what the
// victim has not got back when the connection is gone.
func (g *genome) hold(t testing.TB, v *victim) (spent cost) {
	before := v.ask(question{Profile: "default", Do: "held"})
	v.ask(question{Profile: "default", Do: "watch"})
	c := dial(t, v.ports["default"].port())
	defer c.close()
	g.play(c, func() bool { return v.measure("default", false).Peak-before.Held > clearlyTooMuch })
	for began := time.Now(); time.Since(began) < 5*settleTime; { // responses that are compressed, for instance, take their time
		if now := v.settle(before, c.octets); !now.Unsettled || now.Peak-before.Held > clearlyTooMuch {
			break
		}
	}
	during := v.ask(question{Profile: "default", Do: "held"})
	spent = cost{octets: c.octets, held: during.Peak - before.Held, reaction: c.fate()}
	c.close()
	spent.wrong = v.givenBack(before)
	return spent
}

// settle waits until the victim has processed what was sent since before.
func (v *victim) settle(before measurement, octets int) measurement {
	v.t.Helper()
	return v.ask(question{Profile: "default", Do: "settle", Received: before.Received + uint64(octets)})
}

// givenBack waits until the victim has everything back that it had before, and says what it does not get.
func (v *victim) givenBack(before measurement) (wrong string) {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		now := v.ask(question{Profile: "default", Do: "held"})
		active, busy, live := now.Active-before.Active, now.Busy-before.Busy, (now.Live-now.Kept)-(before.Live-before.Kept)
		if active <= 0 && busy <= 0 && live <= heapLeft {
			return ""
		}
		if time.Since(began) > patience/8 {
			return fmt.Sprintf("%d RPCs, %d goroutines and %d KiB are left", active, busy, live>>10)
		}
	}
}

// spend plays a genome on several connections, one after the other, and measures the CPU time: the least of some repetitions
// where it is near the bar, for there is always something else that runs on the machine.
func (g *genome) spend(t testing.TB, v *victim, repetitions int) (spent cost) {
	for n := 0; n < repetitions || n < 4*repetitions && spent.cpu > mostCPU*1000; n++ { // what others do on the machine comes and goes
		once := g.spendOnce(t, v)
		if spent.octets == 0 || once.cpu < spent.cpu {
			spent = once
		}
		if spent.cpu < mostCPU*1000/2 || spent.cpu > mostCPU*1000*hopeless {
			break
		}
	}
	return spent
}

const hopeless = 4 // times as much as may be spent: no noise of the machine

func (g *genome) spendOnce(t testing.TB, v *victim) cost {
	const (
		octets      = 128 << 10 // that make up for what is fixed
		connections = 8
		enough      = 50 * time.Millisecond
		fewest      = 4 << 10 // that a connection counts for: what it costs by itself is not the question here
	)
	before := v.measure("default", false)
	now, sent, last, reaction := before, 0, 0, ""
	// What has been asked for goes on when its connection is over, and counts.
	settle := func(since measurement, n int) {
		for now = v.settle(since, n); now.Unsettled && now.CPU-before.CPU < hopeless*mostCPU*time.Duration(sent); now = v.settle(since, n) {
		}
	}
	for n := 0; n < connections && sent < octets && now.CPU-before.CPU < enough; n++ {
		since := v.measure("default", false)
		c := dial(t, v.ports["default"].port())
		g.play(c, nil)
		last = c.octets
		sent += max(last, fewest)
		settle(since, last)
		reaction = c.fate()
		c.close()
	}
	settle(now, 0)
	return cost{octets: last, cpu: (now.CPU - before.CPU) * 1000 / time.Duration(max(1, sent)), reaction: reaction}
}

// fate says briefly what has become of the connection.
func (c *client) fate() string {
	c.Lock()
	defer c.Unlock()
	switch {
	case len(c.goAways) > 0:
		code, _, _ := strings.Cut(c.goAways[len(c.goAways)-1], ":")
		return "GOAWAY " + code
	case c.stuck:
		return "reads no more"
	case c.Err != nil || c.broken:
		return "closed"
	}
	return "goes on"
}

// mayHold is how much the genome may make the victim hold that sends so many octets.
func (g *genome) mayHold(octets int) int64 {
	if octets < few && !g.responds() {
		return mostHeldByFew
	}
	return mostHeld
}

// excess says which bars the costs exceed.
func (g *genome) excess(held, spent cost) (what []string) {
	say := func(format string, arguments ...any) { what = append(what, fmt.Sprintf(format, arguments...)) }
	if most := g.mayHold(held.octets); held.held > most {
		say("holds %.1f MiB for %d octets, want at most %d", mebibytes(held.held), held.octets, most>>20)
	}
	if spent.cpu > mostCPU*1000 && !g.responds() {
		say("costs %.2f µs of CPU for an octet, want at most %.0f", micros(spent.cpu), micros(mostCPU*1000))
	}
	if held.wrong != "" {
		say("%s", held.wrong)
	}
	return what
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// micros is the time for one octet, in microseconds.
func micros(cpu time.Duration) float64 { return float64(cpu) / 1e6 }

const costHeader = "| octets sent | held, KiB | held for an octet | CPU for an octet, µs | reaction |\n"

// costRow has the columns of costHeader, without the first bar.
func costRow(held, spent cost) string {
	return fmt.Sprintf(" %d | %d | %.1f | %.3f | %s |\n", held.octets, max(0, held.held>>10),
		float64(max(0, held.held))/float64(max(1, held.octets)), micros(spent.cpu), held.reaction)
}
