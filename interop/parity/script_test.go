package parity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime"
)

// patience bounds every wait for something that must happen. It is no expectation: nothing here depends on how long
// anything takes.
const patience = 30 * time.Second

// step is one thing that a handler does. servicer_test.go and testdata/server.py know what each means.
type step struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
	Size int    `json:"size,omitempty"`
	Code uint32 `json:"code,omitempty"` // a codes.Code, or a number that is none
	N    int    `json:"n,omitempty"`
	MD   pairs  `json:"md,omitempty"`
}

type script []step

func do(what string) step                    { return step{Do: what} }
func doText(what, text string) step          { return step{Do: what, Text: text} }
func reply(text string) step                 { return step{Do: "reply", Text: text} }
func send(text string) step                  { return step{Do: "send", Text: text} }
func raise(text string) step                 { return step{Do: "raise", Text: text} }
func signal(name string) step                { return step{Do: "signal", Text: name} }
func await(name string) step                 { return step{Do: "await", Text: name} }
func abort(code codes.Code, why string) step { return step{Do: "abort", Code: uint32(code), Text: why} }

// sendInitial and setTrailing take keys and values in turn.
func sendInitial(keysAndValues ...string) step {
	return step{Do: "send_initial", MD: pairsOf(keysAndValues...)}
}

func setTrailing(keysAndValues ...string) step {
	return step{Do: "set_trailing", MD: pairsOf(keysAndValues...)}
}

// pairs is metadata in its order. Binary values are written in hexadecimal, in JSON and in the rows.
type pairs [][2]string

func pairsOf(keysAndValues ...string) pairs {
	var p pairs
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		p = append(p, [2]string{keysAndValues[i], keysAndValues[i+1]})
	}
	return p
}

// metadata returns the pairs as the runtime has them.
func (p pairs) metadata() runtime.Metadata {
	var md runtime.Metadata
	for _, pair := range p {
		key, value := pair[0], pair[1]
		if strings.HasSuffix(key, "-bin") {
			octets, err := hex.DecodeString(value)
			if err != nil {
				panic(fmt.Sprintf("metadata %q of a row: %v", key, err))
			}
			value = string(octets)
		}
		md = append(md, runtime.Pair{Key: key, Value: value})
	}
	return md
}

// pairsFrom is the opposite of metadata.
func pairsFrom(md runtime.Metadata) pairs {
	var p pairs
	for _, pair := range md {
		value := pair.Value
		if strings.HasSuffix(pair.Key, "-bin") {
			value = hex.EncodeToString([]byte(value))
		}
		p = append(p, [2]string{pair.Key, value})
	}
	return p
}

// message is what a row says of a message: its text, or how many octets of the pattern it has.
type message struct {
	Text string `json:"text,omitempty"`
	Size int    `json:"size,omitempty"`
}

func texts(all ...string) []message {
	messages := []message{}
	for _, text := range all {
		messages = append(messages, message{Text: text})
	}
	return messages
}

func sizes(all ...int) []message {
	var messages []message
	for _, size := range all {
		messages = append(messages, message{Size: size})
	}
	return messages
}

// pattern has a length that shares no factor with any size of interest.
var pattern = func() []byte {
	p := make([]byte, 251)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}()

func (m message) payload() []byte {
	if m.Size > 0 {
		return bytes.Repeat(pattern, m.Size/len(pattern)+1)[:m.Size]
	}
	return []byte(m.Text)
}

// describe is how answers show a message: large ones by length and checksum.
func describe(data []byte) string {
	if len(data) > 500 {
		return fmt.Sprintf("%d octets, CRC %08x", len(data), crc32.ChecksumIEEE(data))
	}
	return string(data)
}

// described is what answers show of messages of these sizes.
func described(sizes ...int) []string {
	var all []string
	for _, size := range sizes {
		all = append(all, describe(message{Size: size}.payload()))
	}
	return all
}

// toJSON is compact JSON, as the Python halves write it.
func toJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
