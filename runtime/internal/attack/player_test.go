package attack

import (
	"bytes"
	"slices"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// player plays a genome on a connection.
type player struct {
	c       *client
	batch   []byte
	opened  []uint32 // streams
	encoder *hpack.Encoder
	encoded bytes.Buffer
	enough  func() bool // called from time to time: whether to leave it at that; nil: no
}

// upload is what is left of a request's content.
type upload struct {
	id   uint32
	rest []byte
}

// atOnce is how much a player writes at once: about what a server reads at once.
const atOnce = 32 << 10

// play plays the genome as far as the server lets it.
func (g *genome) play(c *client, enough func() bool) {
	p := &player{c: c, enough: enough}
	p.encoder = hpack.NewEncoder(&p.encoded)
	c.greet(h2test.Parameters(h2test.InitialWindowSize, g.Window))
	if g.Window > 0 {
		c.send(h2test.Raw(h2test.WindowUpdate, 0, 0, 1<<31-1-65535))
	}
	if g.Unread {
		c.credits[0] = 1 << 20 // as the server will have said
	} else {
		c.read()
		c.sync()
	}
	for i := range g.Genes {
		if s := &g.Genes[i]; s.Frame == "" {
			p.requests(s, g.Unread)
		} else {
			p.frames(s)
		}
	}
	p.flush()
}

// add puts frames into the batch.
func (p *player) add(frames ...[]byte) {
	for _, f := range frames {
		p.batch = append(p.batch, f...)
		if f[3] == h2test.Settings && f[4] == 0 {
			p.c.settings++
		}
	}
	if len(p.batch) >= atOnce {
		p.flush()
	}
}

func (p *player) flush() {
	if len(p.batch) > 0 {
		batch := p.batch
		p.batch = nil
		p.c.write(batch)
	}
}

// over reports whether there is no point in going on.
func (p *player) over() bool { return p.c.broken || p.enough != nil && p.enough() }

// requests makes requests, whose content is sent as far as the windows allow.
func (p *player) requests(s *gene, unread bool) {
	content := s.Content.encode()
	var left []upload
	for i := range s.Times {
		if i%64 == 63 && p.over() {
			return
		}
		id := p.c.id()
		p.opened = append(p.opened, id)
		flags := h2test.EndHeaders
		if len(content) == 0 && s.End == ended {
			flags |= h2test.EndStream
		}
		p.headers(id, flags, p.block(s, i))
		rest := p.content(s, id, content)
		if len(rest) > 0 {
			left = append(left, upload{id, rest})
		} else if s.End == aborted {
			p.add(cancel(id))
		}
	}
	for sent := !unread; sent && len(left) > 0 && !p.over(); {
		sent = false
		p.flush()
		p.c.sync() // the credits that are due have come then
		left = slices.DeleteFunc(left, func(u upload) bool { return len(u.rest) == 0 })
		for i := range left {
			u := &left[i]
			rest := p.content(s, u.id, u.rest)
			sent = sent || len(rest) < len(u.rest)
			u.rest = rest
		}
	}
}

// headers adds a field block, which may need several frames.
func (p *player) headers(id uint32, flags byte, block []byte) {
	kind := h2test.Headers
	for len(block) > 16384 {
		p.add(h2test.Raw(kind, flags&^h2test.EndHeaders, id, block[:16384]))
		kind, flags, block = h2test.Continuation, flags&h2test.EndHeaders, block[16384:]
	}
	p.add(h2test.Raw(kind, flags, id, block))
}

// block is the field block of a gene's request.
func (p *player) block(s *gene, i int) []byte {
	fields := []line{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: s.Method},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
	at := 3
	for _, l := range s.Fields {
		if own := slices.IndexFunc(fields[:], func(f line) bool { return f.Name == l.Name }); own >= 0 {
			fields[own] = l
		} else if l.Name[0] == ':' {
			fields = slices.Insert(fields, at, l)
			at++
		} else {
			fields = append(fields, l)
		}
	}
	if s.Content.Gzip || s.Content.Flag {
		fields = append(fields, line{Name: "grpc-encoding", Value: "gzip"})
	}
	if s.Vary && i%2 == 1 {
		fields = append(fields, line{Name: "accept-encoding", Value: "gzip, deflate"}) // RFC 7541, Appendix A has it
	}
	p.encoded.Reset()
	for _, l := range fields {
		f := hpack.HeaderField{Name: l.name(), Value: l.value()}
		for range max(1, l.Times) {
			p.encoder.WriteField(f)
		}
	}
	return bytes.Clone(p.encoded.Bytes())
}

// content adds content as far as the windows allow, with what ends it, and returns what is left.
func (p *player) content(s *gene, id uint32, content []byte) (left []byte) {
	c, size := p.c, s.Content.Frame
	if size == 0 {
		size = 16384 - 1 - s.Content.Pad
	}
	for len(content) > 0 && !c.broken {
		extra := 0
		if s.Content.Pad > 0 {
			extra = 1 + s.Content.Pad
		}
		c.Lock()
		n := min(len(content), size, c.credits[0]-extra, c.credits[id]-extra)
		if c.ends[id] != "" {
			n, content = 0, nil
		}
		if n > 0 {
			c.credits[0] -= n + extra
			c.credits[id] -= n + extra
		}
		c.Unlock()
		if n <= 0 {
			return content
		}
		flags, parts := byte(0), []any{content[:n]}
		if content = content[n:]; len(content) == 0 && s.End == ended {
			flags = h2test.EndStream
		}
		if extra > 0 {
			flags |= h2test.Padded
			parts = []any{[]byte{byte(s.Content.Pad)}, parts[0], make([]byte, s.Content.Pad)}
		}
		p.add(h2test.Raw(h2test.Data, flags, id, parts...))
	}
	return nil
}

// frames sends frames, on the streams that were opened in turn.
func (p *player) frames(s *gene) {
	if len(p.opened) == 0 {
		p.opened = append(p.opened, 1) // idle, which is an error where it matters
	}
	turn := len(p.opened)
	if s.Frame == "CONTINUATION" {
		turn = 1
	}
	for i := range s.Times {
		if i%256 == 255 && p.over() {
			return
		}
		p.add(floods[s.Frame](i, p.opened[len(p.opened)-1-i%turn], s.Size))
	}
}
