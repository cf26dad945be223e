package attack

import (
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"
)

// amplification is a genome with a name, under the limit that is to bound it.
type amplification struct {
	limit, name string
	genome
}

var replayed = flag.String("genome", "", "a genome to play, instead of the cases")

// TestAmplification measures what a client makes the server hold, and the CPU time that it costs, in relation to what it
// sends: for every field that is parsed, every kind of message and of frame, and every kind of method. The victim has
// default options, with health and reflection. Each case has a victim of its own.
//
// With the race detector, which changes all that is measured, there are fewer cases with fewer requests, to one victim, and only what they
// leave behind is looked at.
func TestAmplification(t *testing.T) {
	cases := amplifications()
	if *replayed != "" {
		one := amplification{limit: "replayed", name: "genome"}
		if err := json.Unmarshal([]byte(*replayed), &one.genome); err != nil {
			t.Fatal(err)
		}
		cases = []amplification{one}
	}
	if raceEnabled {
		playRaced(t, cases)
		return
	}
	all, worst := "", newWorstCosts()
	for _, a := range cases {
		t.Run(a.limit+"/"+a.name, func(t *testing.T) {
			held, spent := a.measure(t)
			for _, what := range a.excess(held, spent) {
				t.Errorf("%s: %s", a.name, what) // make attacks leaves the lines out that name the case
			}
			all += fmt.Sprintf("| %s |%s", a.name, costRow(held, spent))
			worst.add(&a, held, spent)
		})
	}
	t.Logf("\n| attack %s|---|---|---|---|---|---|\n%s", costHeader, all)
	t.Logf("\n%s", worst)
}

func playRaced(t *testing.T, cases []amplification) {
	v := startVictim(t, meteredVictim)
	for i, a := range cases {
		if i%4 > 0 {
			continue // they take long
		}
		g := a.clone()
		g.shrink()
		v.playing = g.String()
		if wrong := g.hold(t, v).wrong; wrong != "" {
			t.Fatalf("%s: %s", a.name, wrong)
		}
	}
}

// measure plays the genome against victims that nobody else has. What is held is the least of some repetitions where it is too
// much: a garbage collection that takes long counts what was garbage when it began.
func (a *amplification) measure(t *testing.T) (held, spent cost) {
	var v *victim
	for n := range 4 {
		v = startVictim(t, meteredVictim)
		once := a.hold(t, v)
		if n == 0 || once.held < held.held || once.wrong != "" {
			held = once
		}
		if held.held <= a.mayHold(held.octets) || held.wrong != "" {
			break
		}
	}
	if held.wrong != "" || held.held > clearlyTooMuch {
		return held, cost{}
	}
	return held, a.spend(t, v, 3)
}

var meteredVictim, _ = kindNamed("metered")

// worstCosts are the worst attacks of each limit: in what they hold, in that for each octet, and in CPU time.
type worstCosts struct {
	limits []string
	worst  map[string]*[3]worstCost
}

type worstCost struct {
	value       float64
	name        string
	held, spent cost
}

func newWorstCosts() *worstCosts { return &worstCosts{worst: map[string]*[3]worstCost{}} }

func (w *worstCosts) add(a *amplification, held, spent cost) {
	three := w.worst[a.limit]
	if three == nil {
		three = &[3]worstCost{}
		w.limits, w.worst[a.limit] = append(w.limits, a.limit), three
	}
	values := [3]float64{float64(held.held), float64(held.held) / float64(max(1, held.octets)), float64(spent.cpu)}
	for i, value := range values {
		if value > three[i].value {
			three[i] = worstCost{value, a.name, held, spent}
		}
	}
}

// String returns the table for docs/security.md.
func (w *worstCosts) String() string {
	var b strings.Builder
	b.WriteString("| limit | octets held, KiB | by | held for an octet | by | CPU for an octet, µs | by |\n|---|---|---|---|---|---|---|\n")
	for _, limit := range w.limits {
		three := w.worst[limit]
		fmt.Fprintf(&b, "| %s | %d | %s, %d octets | %.1f | %s, %d octets | %.3f | %s |\n", limit, three[0].held.held>>10,
			three[0].name, three[0].held.octets, three[1].value, three[1].name, three[1].held.octets,
			micros(three[2].spent.cpu), three[2].name)
	}
	return b.String()
}
