package attack

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	searchTime = flag.Duration("search", 3*time.Second, "how long to search for attacks that hold and cost most")
	searchSeed = flag.Uint64("seed", 1, "what the search begins with")
)

// objective is something that a search makes as large as it can.
type objective struct {
	name  string
	value func(g *genome, c cost) float64 // 0: does not count
	cpu   bool                            // measured by spend, not by hold
}

var objectives = []objective{
	{name: "octets held", value: func(_ *genome, c cost) float64 { return float64(c.held) }},
	{name: "octets held for less than 64 KiB", value: func(g *genome, c cost) float64 {
		if c.octets >= few || g.responds() {
			return 0
		}
		return float64(c.held)
	}},
	{name: "CPU for an octet", cpu: true, value: func(g *genome, c cost) float64 {
		if g.responds() {
			return 0
		}
		return float64(c.cpu)
	}},
}

// TestAmplification_Search looks for attacks that are worse than the cases: it changes those that were worst so far, at
// random, and keeps what has become worse. The flag -seed repeats what it tries, as far as what it measures is the same; what
// it finds is played again by TestAmplification with the flag -genome.
func TestAmplification_Search(t *testing.T) {
	if testing.Short() {
		t.Skip("a search takes seconds")
	}
	table := "\n| worst attack found, of how many | by " + costHeader[2:] + "|---|---|---|---|---|---|---|\n"
	for i, o := range objectives {
		if raceEnabled && i > 0 {
			break // what is measured means nothing; what is left behind does
		}
		t.Run(o.name, func(t *testing.T) {
			s := &search{t: t, objective: o, random: rand.New(rand.NewPCG(*searchSeed, uint64(i)))}
			s.run(time.Now().Add(*searchTime / time.Duration(len(objectives))))
			table += s.report()
		})
	}
	if !raceEnabled {
		t.Log(table)
	}
}

// search climbs: the best genomes so far are the parents of those that it tries.
type search struct {
	t *testing.T
	objective
	random *rand.Rand
	seeds  [][]amplification // by limit
	best   []scored
	tried  int

	v    *victim
	stop func()
	left int // genomes until the victim is exchanged
}

type scored struct {
	genome
	cost
	score float64
}

const (
	parents     = 8
	generation  = 40 // genomes that are played against one victim
	wrongsAtAll = 3  // a search that has found so many leaks has found enough
)

func (s *search) run(until time.Time) {
	s.seeds = byLimit(amplifications())
	defer s.exchange()
	for wrongs := 0; wrongs < wrongsAtAll && time.Now().Before(until); s.tried++ {
		g := s.next()
		c := s.try(&g, 1)
		if c.wrong != "" {
			wrongs++
			s.t.Errorf("%s after %s", c.wrong, g.String())
		}
		if score := s.value(&g, c); score > 0 {
			s.keep(scored{g, c, score})
		}
	}
	if len(s.best) > 0 { // the worst once more: what others have left behind may have counted
		s.exchange()
		s.best[0].cost = s.try(&s.best[0].genome, 3)
	}
}

// exchange ends the victim; the next genome gets another.
func (s *search) exchange() {
	if s.v != nil {
		s.stop()
		s.v = nil
	}
}

// try plays a genome.
func (s *search) try(g *genome, repetitions int) (c cost) {
	if s.v == nil {
		s.v, s.stop = newVictim(s.t, meteredVictim)
		s.left = generation
	}
	s.v.playing = g.String()
	if s.cpu {
		c = g.spend(s.t, s.v, repetitions)
	} else {
		c = g.hold(s.t, s.v)
	}
	if s.left--; s.left == 0 || c.wrong != "" || c.held > mostHeld {
		s.exchange()
	}
	return c
}

func (s *search) keep(one scored) {
	s.best = append(s.best, one)
	slices.SortStableFunc(s.best, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	s.best = s.best[:min(len(s.best), parents)]
}

// report returns a row of the table, and fails if the worst genome is beyond the bars.
func (s *search) report() string {
	if len(s.best) == 0 {
		return ""
	}
	worst := &s.best[0]
	held, spent := worst.cost, cost{}
	if s.cpu {
		spent, held = worst.cost, cost{octets: worst.octets, reaction: worst.reaction}
	}
	if !raceEnabled {
		for _, what := range worst.excess(held, spent) {
			s.t.Errorf("%s: %s", what, worst.String())
		}
	}
	return fmt.Sprintf("| %s, of %d | `%s` |%s", s.name, s.tried, worst.String(), costRow(held, spent))
}

// next is a genome to try: a case as it is, or a change of a case or of one of the best.
func (s *search) next() genome {
	r := s.random
	g := s.seed()
	if n := len(s.best); n > 0 && r.IntN(3) > 0 {
		g = s.best[r.IntN(n)].clone()
	}
	for range r.IntN(4) {
		s.mutate(&g)
	}
	g.shrink()
	return g
}

// byLimit groups cases, so that a search does not begin most often with what there are most cases of.
func byLimit(cases []amplification) (groups [][]amplification) {
	at := map[string]int{}
	for _, a := range cases {
		i, ok := at[a.limit]
		if !ok {
			i = len(groups)
			at[a.limit], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], a)
	}
	return groups
}

// seed is one of the cases.
func (s *search) seed() genome {
	one := pick(s.random, pick(s.random, s.seeds...)...)
	return one.clone()
}
