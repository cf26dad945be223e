package attack

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// genome is an attack on one connection as data, so that a search can change it, and one that was found can be played again.
// Field blocks are written by an HPACK encoder: what has been sent once is one octet from then on.
type genome struct {
	Window uint32 // SETTINGS_INITIAL_WINDOW_SIZE; unless it is 0, the connection's window is open as well
	Unread bool   // the client reads nothing
	Genes  []gene
}

// gene is a number of requests, or of frames if Frame is set.
type gene struct {
	Times   int
	Method  string  `json:",omitempty"` // full path
	Fields  []line  `json:",omitempty"`
	Vary    bool    `json:",omitempty"` // no field block is as the one before
	Content content `json:",omitzero"`
	End     ending  `json:",omitempty"`
	Frame   string  `json:",omitempty"` // a key of floods
	Size    int     `json:",omitempty"` // octets of its payload, if its kind leaves that open
}

// ending is what follows the content of a request.
type ending string

const (
	ended   ending = ""      // END_STREAM
	open    ending = "open"  // nothing
	aborted ending = "reset" // RST_STREAM
)

// line is a field line, or several. One that every request has takes the place of that.
type line struct {
	Name  string // with "*" for longName octets
	Value string
	Size  int `json:",omitempty"` // of the value, which is then repeated; 0: as it is
	Times int `json:",omitempty"` // 0: once
}

// longName is about as much as the HPACK table has room for.
const longName = 3800

func (l line) name() string { return strings.ReplaceAll(l.Name, "*", strings.Repeat("n", longName)) }

func (l line) value() string { return stretched(l.Value, l.Size) }

// stretched repeats a text until it has a length; 0 leaves it as it is.
func stretched(text string, size int) string {
	if size == 0 {
		return text
	}
	return strings.Repeat(text, size/len(text)+1)[:size]
}

// content is the content of a request.
type content struct {
	Count int    `json:",omitempty"` // messages
	Form  string `json:",omitempty"` // what they are; "": zeros
	Size  int    `json:",omitempty"` // octets that are up to the form, of each
	Gzip  bool   `json:",omitempty"`
	Flag  bool   `json:",omitempty"` // they say that they are compressed with gzip, and are not
	Short int    `json:",omitempty"` // octets of the last that do not come; -1: all
	Frame int    `json:",omitempty"` // octets of a DATA frame; 0: as many as there can be
	Pad   int    `json:",omitempty"` // octets of padding in each frame
}

// forms are requests in protobuf: those of health and of reflection.
var forms = map[string]func(size int) []byte{
	"":          func(size int) []byte { return make([]byte, size) },
	"name":      func(size int) []byte { return protoString(1, strings.Repeat("n", size)) }, // and a host
	"file":      func(int) []byte { return protoString(3, "attack/described.proto") },
	"file ...":  func(size int) []byte { return protoString(3, strings.Repeat("n", size)) },
	"symbol":    func(int) []byte { return protoString(4, "attack.Described") },
	"symbol ..": func(size int) []byte { return protoString(4, strings.Repeat(".", size)) },
	"extension": func(size int) []byte {
		return protoString(5, string(protoString(1, stretched("google.protobuf.FieldOptions", max(1, size))))+"\x10\x07")
	},
	"numbers": func(int) []byte { return protoString(6, "google.protobuf.FieldOptions") },
	"list":    func(size int) []byte { return protoString(7, strings.Repeat("n", size)) },
	"fields":  func(size int) []byte { return []byte(stretched("\x78\x01", max(2, size&^1))) }, // unknown ones
}

// protoString is a field of a length-delimited type.
func protoString(number byte, value string) []byte {
	return append(append([]byte{number<<3 | 2}, uvarint(len(value))...), value...)
}

func (c content) encode() []byte {
	if c.Count == 0 {
		return nil
	}
	message, flag := forms[c.Form](c.Size), byte(0)
	if c.Gzip {
		message = zipped(c.Form, c.Size, message)
	}
	if c.Gzip || c.Flag {
		flag = 1
	}
	one := lpm(flag, message)
	all := bytes.Repeat(one, c.Count)
	if c.Short < 0 {
		return all[:len(all)-len(message)]
	}
	return all[:len(all)-min(c.Short, len(message))]
}

var zips = map[string][]byte{} // by form and size: they take longer to make than to inflate

func zipped(form string, size int, message []byte) []byte {
	key := fmt.Sprint(form, size)
	if zips[key] == nil {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write(message)
		w.Close()
		zips[key] = b.Bytes()
	}
	return zips[key]
}

// answering are the methods whose handlers have responses of their own that are large.
var answering = []string{"Large", "Mebi", "Mebis", "Stream", "Fail", "Squeeze", "Trail", "Lead"}

// responds reports whether what is held, and spent, may be for responses that are the handlers' own: then more is allowed.
func (g *genome) responds() bool {
	return slices.ContainsFunc(g.Genes, func(s gene) bool {
		name, ours := strings.CutPrefix(s.Method, "/attack.S/")
		echoes := name == "Echo" || name == "Chat" || name == "Value"
		return s.Method == "/page/large" || ours && s.Frame == "" && (slices.Contains(answering, name) || echoes && s.Content.Gzip)
	})
}

// String is the genome as the flag -genome takes it.
func (g *genome) String() string {
	text, err := json.Marshal(g)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (g *genome) clone() genome {
	n := *g
	n.Genes = slices.Clone(g.Genes)
	for i := range n.Genes {
		n.Genes[i].Fields = slices.Clone(n.Genes[i].Fields)
	}
	return n
}

// mostOctets is what a genome sends after shrink, so that many can be played.
const mostOctets = 512 << 10

// shrink has the genome send no more than there is time for, which is a tenth with the race detector.
func (g *genome) shrink() {
	left := mostOctets
	for i := range g.Genes {
		if raceEnabled {
			g.Genes[i].Times = (g.Genes[i].Times + 9) / 10
		}
		one := g.Genes[i].octets()
		g.Genes[i].Times = max(1, min(g.Genes[i].Times, left/one))
		left -= one * g.Genes[i].Times
	}
	g.Genes = slices.DeleteFunc(g.Genes, func(x gene) bool { return x.octets() > mostOctets })
}

// octets are about what a gene sends, each time.
func (s *gene) octets() int {
	if s.Frame != "" {
		return 9 + s.Size
	}
	n := 20
	for _, l := range s.Fields {
		n += max(1, l.Times)
		if size := len(l.name()) + len(l.value()); size > 4000 {
			n += size
		}
	}
	return n + s.Content.octets()
}

func (c content) octets() int {
	one := 5 + c.Size
	if c.Gzip {
		one = 30 + c.Size/250 // four times what it is: inflating takes time
	}
	if frame := c.Frame; frame > 0 {
		one += one / frame * 9
	}
	return one * c.Count
}

// floods are the frames that are not of requests. They get the number of the frame, a stream that was opened, and a size.
var floods = map[string]func(i int, id uint32, size int) []byte{
	"PING":                      func(int, uint32, int) []byte { return h2test.Raw(h2test.Ping, 0, 0, "12345678") },
	"acknowledgement of a PING": func(int, uint32, int) []byte { return h2test.Raw(h2test.Ping, 0x1, 0, "12345678") },
	"SETTINGS":                  func(int, uint32, int) []byte { return h2test.Raw(h2test.Settings, 0, 0) },
	"SETTINGS of a window":      func(i int, _ uint32, size int) []byte { return h2test.Raw(h2test.Settings, 0, 0, windows(size)) },
	"SETTINGS of the table": func(i int, _ uint32, _ int) []byte {
		return h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.HeaderTableSize, uint32(i%2)))
	},
	"PRIORITY":                  func(_ int, id uint32, _ int) []byte { return h2test.Raw(h2test.Priority, 0, id, 0, "\x10") },
	"RST_STREAM":                func(_ int, id uint32, _ int) []byte { return cancel(id) },
	"WINDOW_UPDATE":             func(int, uint32, int) []byte { return h2test.Raw(h2test.WindowUpdate, 0, 0, 1) },
	"WINDOW_UPDATE of a stream": func(_ int, id uint32, _ int) []byte { return h2test.Raw(h2test.WindowUpdate, 0, id, 1) },
	"WINDOW_UPDATE of 0":        func(_ int, id uint32, _ int) []byte { return h2test.Raw(h2test.WindowUpdate, 0, id, 0) },
	"CONTINUATION":              func(i int, id uint32, size int) []byte { return inOneBlock(i, id, size) },
	"GOAWAY": func(_ int, _ uint32, size int) []byte {
		return h2test.Raw(h2test.GoAway, 0, 0, 0, 0, make([]byte, size))
	},
	"PUSH_PROMISE": func(_ int, id uint32, _ int) []byte { return h2test.Raw(h2test.PushPromise, h2test.EndHeaders, id, 2) },
	"a frame of an unknown type": func(i int, id uint32, size int) []byte {
		return h2test.Raw(byte(10+i%200), 0xff, id, make([]byte, size))
	},
	"DATA without content": func(_ int, id uint32, _ int) []byte { return h2test.Raw(h2test.Data, 0, id) },
	"DATA of padding": func(_ int, id uint32, size int) []byte {
		return h2test.Raw(h2test.Data, h2test.Padded, id, []byte{byte(size)}, make([]byte, size&0xff))
	},
	"DATA on a stream that has ended": func(_ int, id uint32, size int) []byte {
		return h2test.Raw(h2test.Data, 0, id, make([]byte, size))
	},
	"HEADERS without content": func(_ int, id uint32, _ int) []byte {
		return h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, id)
	},
}

// inOneBlock is a HEADERS frame without END_HEADERS on the stream after one, and then its CONTINUATION frames.
func inOneBlock(i int, id uint32, size int) []byte {
	kind := h2test.Continuation
	if i == 0 {
		kind = h2test.Headers
	}
	return h2test.Raw(kind, 0, id+2, bytes.Repeat([]byte{0x83}, size))
}

// windows are values of SETTINGS_INITIAL_WINDOW_SIZE, up and down in turn.
func windows(size int) (b []byte) {
	for i := range min(max(size/6, 1), 64) {
		b = append(b, h2test.Parameters(h2test.InitialWindowSize, uint32(i%2)*(1<<30))...)
	}
	return b
}

// floodNames are the keys of floods in order, formNames those of forms.
var floodNames, formNames = slices.Sorted(maps.Keys(floods)), slices.Sorted(maps.Keys(forms))
