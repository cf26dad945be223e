package attack

import (
	"math/rand/v2"
	"slices"
)

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// callable are the paths that requests are made of.
var callable = []string{
	ours("Echo"), ours("Value"), ours("Wait"), ours("Heedless"), ours("Deaf"), ours("Read"), ours("Chat"), ours("Mebi"),
	ours("Mebis"), ours("Fail"), ours("Squeeze"), ours("Trail"), ours("Lead"), ours("Nope"), "/", "*",
	"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List",
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

// mutate changes something about a genome.
func (s *search) mutate(g *genome) {
	r := s.random
	if len(g.Genes) == 0 {
		g.Genes = append(g.Genes, gene{Times: 100, Method: pick(r, callable...)})
	}
	at := r.IntN(len(g.Genes))
	switch r.IntN(10) {
	case 0:
		g.Window = pick[uint32](r, 0, 1, 4096, 65_535, wide)
	case 1:
		g.Unread = !g.Unread
	case 2: // what another genome has
		if other := s.seed(); len(g.Genes) < 6 {
			g.Genes = slices.Insert(g.Genes, at, other.Genes...)
		}
	case 3:
		if len(g.Genes) > 1 {
			g.Genes = slices.Delete(g.Genes, at, at+1)
		}
	case 4:
		if len(g.Genes) < 6 {
			g.Genes = append(g.Genes, gene{Times: pick(r, 1, 100, 1000, 5000), Frame: pick(r, floodNames...), Size: pick(r, 0, 1, 100, 384)})
		}
	default:
		g.Genes[at].mutate(r)
	}
}

// mutate changes something about a gene.
func (s *gene) mutate(r *rand.Rand) {
	if s.Frame != "" {
		switch r.IntN(3) {
		case 0:
			s.Frame = pick(r, floodNames...)
		case 1:
			s.Times = pick(r, s.Times*2, s.Times/2, 1000, 10_000)
		default:
			s.Size = pick(r, 0, 1, s.Size*2&0x3fff, 100, 384, 16_000)
		}
		return
	}
	switch r.IntN(8) {
	case 0:
		s.Method = pick(r, callable...)
	case 1:
		s.Times = pick(r, s.Times*2, s.Times/2, 1, 31, crew, 2*crew)
	case 2:
		s.End = pick(r, ended, open, aborted)
	case 3:
		s.Vary = !s.Vary
	case 4, 5:
		s.mutateFields(r)
	default:
		s.Content.mutate(r)
	}
}

func (s *gene) mutateFields(r *rand.Rand) {
	n := len(s.Fields)
	switch change := r.IntN(5); {
	case change == 0 && n > 0:
		s.Fields = slices.Delete(s.Fields, n-1, n)
	case change == 1 && n > 0:
		l := &s.Fields[r.IntN(n)]
		l.Times = pick(r, 0, 4, 40, 240, 2*l.Times)
	case change == 2 && n > 0:
		l := &s.Fields[r.IntN(n)]
		if l.Value != "" {
			l.Size = pick(r, 0, 1, 30, 300, 1800, 3800, 15_000, l.Size/2)
		}
	case n < 5:
		s.Fields = append(s.Fields, pick(r, parsed()...))
	}
}

func (c *content) mutate(r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		c.Count = pick(r, 0, 1, 2, 10, 100, 2*c.Count, c.Count+1)
	case 1, 2:
		c.Size = pick(r, append(slices.Clone(sizes), c.Size/2, c.Size*2, c.Size+1, max(0, c.Size-1))...)
		c.Size = min(c.Size, 8<<20)
	case 3:
		c.Form = pick(r, formNames...)
	case 4:
		c.Gzip, c.Flag = pick(r, true, false), false
	case 5:
		c.Flag, c.Gzip = pick(r, true, false), false
	case 6:
		c.Short = pick(r, 0, 1, -1)
	default:
		c.Frame, c.Pad = pick(r, 0, 0, 1, 5, 100, 4096), pick(r, 0, 0, 0, 1, 255)
	}
	c.Count = min(c.Count, 20_000)
}
