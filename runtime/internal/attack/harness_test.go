package attack

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// victim is the process that is attacked.
type victim struct {
	t     testing.TB
	ports map[string]ports

	controls map[string]*client // by profile; used by one goroutine at a time
	playing  string             // the attack under way, if it has a name of its own
}

// startVictim starts a victim, which from now on is the one that is faced.
func startVictim(t *testing.T, k kind) *victim {
	t.Helper()
	v, stop := newVictim(t, k)
	t.Cleanup(stop)
	return v
}

// newVictim starts a victim. stop ends it.
func newVictim(t testing.TB, k kind) (v *victim, stop func()) {
	t.Helper()
	facing = k
	if testing.Short() {
		t.Skip("attacks take seconds")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+k.name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v = &victim{t: t, controls: map[string]*client{}}
	stop = func() {
		for _, c := range v.controls {
			c.close()
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the victim has ended with %v", err)
		}
	}
	if err := json.NewDecoder(out).Decode(&v.ports); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	for profile := range v.ports {
		v.controls[profile] = v.friend(profile)
	}
	return v, stop
}

// friend returns a client that reads, and says nothing odd.
func (v *victim) friend(profile string) *client {
	v.t.Helper()
	c := dial(v.t, v.ports[profile].port())
	c.bodies = map[uint32][]byte{}
	c.greet()
	c.send(h2test.Raw(h2test.WindowUpdate, 0, 0, 1<<30))
	c.read()
	return c
}

// measure asks the victim for its numbers, those of its memory without garbage if collect.
func (v *victim) measure(profile string, collect bool) measurement {
	v.t.Helper()
	ask := question{Profile: profile}
	if collect {
		ask.Do = "collect"
	}
	return v.ask(ask)
}

// ask has the victim do something, and tell its numbers then.
func (v *victim) ask(q question) (m measurement) {
	v.t.Helper()
	message, err := json.Marshal(q)
	if err != nil {
		v.t.Fatal(err)
	}
	c := v.controls[q.Profile]
	id := c.next
	end := c.call("Measure", message)
	c.Lock()
	defer c.Unlock()
	body := c.bodies[id]
	delete(c.bodies, id)
	if end != "grpc-status 0" || len(body) < 5 || json.Unmarshal(body[5:], &m) != nil {
		v.t.Fatalf("the victim is measured with %q, %q %s", end, body, v.playing)
	}
	return m
}

// bystander calls a server all the time, which has to answer.
type bystander struct {
	calls atomic.Int64
	peak  atomic.Int64 // heap in use, garbage included
	stop  chan struct{}
	wg    sync.WaitGroup
}

// watch starts a bystander.
func (v *victim) watch(profile string) *bystander {
	b := &bystander{stop: make(chan struct{})}
	c := v.friend(profile)
	other := &victim{t: v.t, controls: map[string]*client{profile: c}}
	b.wg.Go(func() {
		defer c.close()
		for {
			select {
			case <-b.stop:
				return
			default:
			}
			id := c.next
			end := c.call("Echo", []byte("bystander"))
			c.Lock()
			body := string(c.bodies[id])
			delete(c.bodies, id)
			c.Unlock()
			if want := string(lpm(0, []byte("bystander"))); end != "grpc-status 0" || body != want {
				v.t.Errorf("a bystander was answered with %q and %q", end, body)
				return
			}
			if b.calls.Add(1)%4 == 0 {
				b.peak.Store(max(b.peak.Load(), other.measure(profile, false).Heap))
			}
			time.Sleep(time.Millisecond) // leaves the CPU to the attack, which is what is measured
		}
	})
	return b
}

// waitCalls waits for n calls more.
func (b *bystander) waitCalls(t testing.TB, n int64) {
	t.Helper()
	for began, before := time.Now(), b.calls.Load(); b.calls.Load() < before+n; time.Sleep(time.Millisecond) {
		if t.Failed() || time.Since(began) > patience {
			t.Fatal("the bystander is not served")
		}
	}
}

// attack is a row of the table.
type attack struct {
	name    string
	profile string // "": default
	unread  bool   // the attacker does not read before it is over
	send    func(c *client)
	want    string // a regular expression for the reaction
	heap    int64  // what the attack may hold, in MiB; 0: 16
}

// heapLeft is what may be left of an attack when it is over.
const heapLeft = 8 << 20

// run plays attacks, each against the same process.
func run(t *testing.T, v *victim, title string, attacks []attack) {
	t.Helper()
	began := v.measure("default", true)
	bystanders := map[string]*bystander{}
	cost := map[string]time.Duration{} // CPU time of a bystander's call
	defer func() {
		for _, b := range bystanders {
			close(b.stop)
			b.wg.Wait()
		}
	}()
	if facing.name != "plain" {
		title += ", " + facing.name
	}
	table := "\n| " + title + " | frames | octets | reaction | heap held, KiB | peak, MiB | CPU per frame, µs |\n|---|---|---|---|---|---|---|\n"
	for _, a := range attacks {
		if a.profile == "" {
			a.profile = "default"
		}
		if a.heap == 0 {
			a.heap = 16
		}
		b := bystanders[a.profile]
		if b == nil {
			b = v.watch(a.profile)
			bystanders[a.profile] = b
			from, calls := v.measure(a.profile, false).CPU, b.calls.Load()
			b.waitCalls(t, 100)
			cost[a.profile] = (v.measure(a.profile, false).CPU - from) / time.Duration(b.calls.Load()-calls)
		}
		clean := false
		t.Run(a.name, func(t *testing.T) {
			var row string
			row, clean = a.play(t, v, b, cost[a.profile])
			table += row
		})
		if !clean {
			break // what is left of one attack would be taken for another's
		}
	}
	v.waitGoroutines(t, began)
	t.Log(table)
}

// play plays an attack and returns its row, and whether the victim has got everything back.
func (a *attack) play(t *testing.T, v *victim, b *bystander, callCost time.Duration) (row string, clean bool) {
	t.Helper()
	before := v.measure(a.profile, true)
	b.waitCalls(t, 1)
	b.peak.Store(0)
	c := dial(t, v.ports[a.profile].port())
	defer c.close()
	if !a.unread {
		defer c.read()
	}
	from, calls := v.measure(a.profile, false).CPU, b.calls.Load()
	c.greet()
	if !a.unread {
		c.read()
	}
	a.send(c)
	if a.unread {
		a.waitQuiet(v)
	} else if !c.broken {
		c.sync()
	}
	b.waitCalls(t, 4)
	to := v.measure(a.profile, false).CPU
	during := v.measure(a.profile, true)
	cpu := max(0, to-from-callCost*time.Duration(b.calls.Load()-calls))
	reaction := c.reaction()
	c.close()
	after := a.waitAfter(t, v)

	held, left, frames := during.Heap-before.Heap, (after.Heap-after.Kept)-(before.Heap-before.Kept), c.frames
	if !regexp.MustCompile("^(" + a.want + ")$").MatchString(reaction) {
		t.Errorf("the reaction is %q, want %q", reaction, a.want)
	}
	if held > a.heap<<20 || left > heapLeft {
		t.Errorf("the attack holds %d KiB, and %d KiB when it is over; want at most %d MiB and %d KiB", held>>10, left>>10,
			a.heap, heapLeft>>10)
	}
	row = fmt.Sprintf("| %s | %d | %d | %s | %d | %.1f | %.2f |\n", a.name, frames, c.octets, reaction, max(0, held>>10),
		float64(max(0, b.peak.Load()-before.Heap))/(1<<20), float64(cpu.Nanoseconds())/1000/float64(max(1, frames)))
	return row, left <= heapLeft
}

// waitQuiet waits until the victim receives no more of the attack: it has processed all, or has stopped reading.
func (a *attack) waitQuiet(v *victim) {
	const little = 50_000 // more than the bystander and this measuring take
	last := v.measure(a.profile, false).Received
	for quiet := 0; quiet < 5; {
		time.Sleep(10 * time.Millisecond)
		now := v.measure(a.profile, false).Received
		if quiet++; now-last > little {
			quiet = 0
		}
		last = now
	}
}

// waitAfter waits until the RPCs of the attack have ended.
func (a *attack) waitAfter(t *testing.T, v *victim) measurement {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if m := v.measure(a.profile, false); m.Active <= 2 { // this call, and the bystander's
			return v.measure(a.profile, true)
		} else if time.Since(began) > patience {
			t.Fatalf("%d RPCs are left", m.Active)
		}
	}
}

// waitGoroutines waits until no more goroutines are left of all attacks than there were before. Workers go home after
// five to ten seconds without work, which is waited for with a plain victim only.
func (v *victim) waitGoroutines(t *testing.T, before measurement) {
	t.Helper()
	const slack = 6 // workers that wait for the next call, and what belongs to the bystanders
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		m := v.measure("default", true)
		if m.Goroutines <= before.Goroutines+slack || facing.name != "plain" && m.Busy <= before.Busy+slack {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%d goroutines are left, before there were %d", m.Goroutines, before.Goroutines)
		}
	}
}
