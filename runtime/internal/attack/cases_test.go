package attack

import (
	"fmt"
	"slices"
	"strings"
)

// amplifications are the cases of TestAmplification.
func amplifications() []amplification {
	return slices.Concat(longFields(), manyFields(), messages(), inflations(), responses(), companionServices(), otherProtocols(), frameFloods())
}

const (
	wide = 1<<31 - 1 // a window that nothing fills
	crew = 999       // requests that are open at a time: one fewer than the server allows
)

func ours(method string) string { return "/attack.S/" + method }

// manner is how a client behaves toward what it gets.
type manner struct {
	name   string
	window uint32
	unread bool
}

var manners = []manner{{"zero window", 0, false}, {"not read", wide, true}, {"read", wide, false}}

// in makes a genome of genes.
func (m manner) in(genes ...gene) genome {
	return genome{Window: m.window, Unread: m.unread, Genes: genes}
}

// parsed are the fields that the server looks at, and some that it only keeps, with values that fill the HPACK table.
func parsed() []line {
	const size = longName // with what every request has, just below 4,096
	long := func(name, value string) line { return line{Name: name, Value: value, Size: size} }
	return []line{
		long(":method", "M"), long(":scheme", "s"), long(":path", "/p"), long(":authority", "a"), long(":unknown", "u"),
		long("content-type", "t"), long("content-type", "application/grpc;"), long("te", "trailers"),
		long("grpc-timeout", "1"), long("grpc-timeout", "\x01"), long("grpc-encoding", "e"), long("grpc-encoding", "\""),
		long("grpc-accept-encoding", "gzip,"), long("grpc-accept-encoding", ","), long("grpc-message-type", "t"),
		long("x-bin", "AAAA"), long("x-bin", ","), long("x-bin", "A,"), long("x-bin", "!"), long("grpc-trace-bin", ","),
		long("grpc-status-details-bin", ","), long("x", "v"), long("x", "\x7f"), long("x", "\n"), long("host", "h"),
		long("content-length", "1"), long("user-agent", "u"), long("authorization", "Bearer "), long("cookie", "c=d; "),
		long("accept-encoding", "gzip,"), long("connection", "close"), long("Upper", "v"),
		{Name: "*"},
		{Name: "*-bin", Value: ","},
		{Name: "*-bin", Value: "!"},
		{Name: "N*"},
		{Name: ":*"},
	}
}

// longFields are requests with a long value that is sent once, and referred to from then on.
func longFields() (cases []amplification) {
	for _, l := range parsed() {
		name := fmt.Sprintf("%s of %.10q...", l.Name, l.Value)
		if strings.Contains(l.Name, "*") {
			name = fmt.Sprintf("a name like %s with %q", strings.ReplaceAll(l.Name, "*", "nnn..."), l.Value)
		}
		g := gene{Times: crew, Method: ours("Wait"), Fields: []line{l}, Vary: true}
		half, twice := g, g
		half.End = open
		twice.Times *= 2
		cases = append(cases,
			amplification{"MaxMetadataBytes", name + ", half-open, zero window", genome{Genes: []gene{half}}},
			amplification{"MaxMetadataBytes", name + ", in one batch, not read", genome{Window: wide, Unread: true, Genes: []gene{twice}}},
			amplification{"MaxMetadataBytes", name + ", in one batch, read", genome{Window: wide, Genes: []gene{twice}}},
		)
	}
	for _, size := range []int{16 << 10, 60 << 10} {
		l := line{Name: "x", Value: "v", Size: size}
		g := gene{Times: crew, Method: ours("Wait"), Fields: []line{l}, Vary: true}
		cases = append(cases, amplification{"MaxMetadataBytes", fmt.Sprintf("a field of %d KiB", size>>10), genome{Genes: []gene{g}}})
	}
	for _, size := range []int{100, 4000, 15 << 10} {
		l := line{Name: ":path", Value: "/unknown", Size: size}
		for _, m := range manners {
			g := gene{Times: crew, Fields: []line{l}, Vary: true}
			cases = append(cases, amplification{"MaxMetadataBytes", fmt.Sprintf("an unknown path of %d octets, %s", size, m.name), m.in(g)})
		}
	}
	return cases
}

// manyFields are requests with as many fields as there may be, all of which are references.
func manyFields() (cases []amplification) {
	for _, l := range []line{
		{Name: "x", Value: "", Times: 240},
		{Name: "x", Value: "v", Size: 30, Times: 240},
		{Name: "x-bin", Value: "AAAA", Times: 240},
		{Name: "x-bin", Value: ",", Size: 3700, Times: 4},
		{Name: "x-bin", Value: ",", Size: 20, Times: 240},
		{Name: "x-bin", Value: "A=,", Size: 300, Times: 40},
		{Name: "cookie", Value: "a=b", Times: 240},
		{Name: "grpc-timeout", Value: "1H", Times: 240},
		{Name: "grpc-accept-encoding", Value: "gzip,", Size: 30, Times: 200},
		{Name: "x", Value: "", Times: 12_000}, // beyond the limit
	} {
		name := fmt.Sprintf("%s of %.8q, %d octets, %d times", l.Name, l.Value, len(l.value()), l.Times)
		g := gene{Times: crew, Method: ours("Wait"), Fields: []line{l}, Vary: true}
		if l.Times > 1000 {
			g.Times = 100
		}
		half := g
		half.End = open
		cases = append(cases,
			amplification{"MaxMetadataFields", name + ", half-open, zero window", genome{Genes: []gene{half}}},
			amplification{"MaxMetadataFields", name + ", read", genome{Window: wide, Genes: []gene{g}}},
		)
	}
	return cases
}

// sizes are those at which messages change buffers, and the window of a stream, with what is just below and above.
var sizes = []int{0, 1, 128, 129, 507, 508, 4091, 4096, 16_379, 16_384, 65_530, 65_531, 65_536, 1 << 20, 2<<20 + 1, 4<<20 - 5, 4 << 20}

// messages are requests that are not taken, or not complete.
func messages() (cases []amplification) {
	for _, size := range sizes {
		times := min(crew, 160<<20/max(size, 1))
		limit := "MaxConnectionBytes, requests"
		if size < 65_531 {
			limit = "MaxConcurrentStreams"
		}
		add := func(name, method string, c content, end ending) {
			c.Size = size
			g := gene{Times: times, Method: ours(method), Content: c, End: end}
			cases = append(cases, amplification{limit, fmt.Sprintf("messages of %d octets, %s", size, name), genome{Genes: []gene{g}}})
		}
		add("half-open", "Wait", content{Count: 1}, open)
		add("that a handler does not take", "Deaf", content{Count: 1}, open)
		add("as many as the window has room for, that a handler does not take", "Deaf", content{Count: max(1, 65_535/(size+5))}, open)
		add("announced", "Wait", content{Count: 1, Short: -1}, open)
		if size > 0 {
			add("one octet short", "Wait", content{Count: 1, Short: 1}, open)
			add("one octet short, for a stream", "Deaf", content{Count: 1, Short: 1}, open)
		}
	}
	few := gene{Times: 31, Method: ours("Wait"), Content: content{Count: 1, Size: 2<<20 + 1, Short: 1}, End: open}
	byOne := gene{Times: 100, Method: ours("Read"), Content: content{Count: 1, Size: 600, Frame: 1}}
	return append(cases,
		amplification{"MaxConnectionBytes, requests", "31 requests of 2 MiB + 1, one octet short", genome{Genes: []gene{few}}},
		amplification{"MaxReceiveMessageBytes", "messages in DATA frames of one octet", genome{Window: wide, Genes: []gene{byOne}}},
	)
}

// inflations are messages with gzip.
func inflations() (cases []amplification) {
	add := func(name string, m manner, g gene) {
		cases = append(cases, amplification{"MaxReceiveMessageBytes", name + ", " + m.name, m.in(g)})
	}
	bomb := content{Count: 1, Size: 4<<20 - 5, Gzip: true}
	beyond := content{Count: 1, Size: 4<<20 + 1, Gzip: true}
	for _, m := range manners {
		add("15 messages that inflate to 4 MiB, in a handler that waits", m, gene{Times: 15, Method: ours("Wait"), Content: bomb})
		add("messages that inflate to 4 MiB, in handlers that wait", m, gene{Times: 200, Method: ours("Wait"), Content: bomb})
		add("messages that inflate to 4 MiB, echoed", m, gene{Times: 60, Method: ours("Echo"), Content: bomb})
		add("messages that inflate to more than 4 MiB", m, gene{Times: 100, Method: ours("Wait"), Content: beyond})
		add("streams of 10 messages that inflate to 4 MiB, taken", m, gene{Times: 10, Method: ours("Read"), Content: content{Count: 10, Size: 4<<20 - 5, Gzip: true}})
		add("streams of gzip without content", m, gene{Times: 100, Method: ours("Read"), Content: content{Count: 2000, Gzip: true}})
		add("streams of one octet with gzip, echoed", m, gene{Times: 20, Method: ours("Chat"), Content: content{Count: 2000, Size: 1, Gzip: true}})
		add("messages that are no gzip", m, gene{Times: crew, Method: ours("Wait"), Content: content{Count: 1, Size: 4, Flag: true}})
	}
	add("messages that inflate to 4 MiB, that a handler does not take", manners[0], gene{Times: crew, Method: ours("Deaf"), Content: bomb, End: open})
	add("small fields in protobuf, inflated to 4 MiB", manners[2], gene{Times: 5, Method: ours("Value"), Content: content{Count: 1, Form: "fields", Size: 4<<20 - 6, Gzip: true}})
	return cases
}
