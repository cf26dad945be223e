package parity

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// answer is what a client sees of an RPC.
type answer struct {
	Code     codes.Code `json:"code"`
	Details  string     `json:"details"` // in a row: "*" is any
	Initial  pairs      `json:"initial"`
	Trailing pairs      `json:"trailing"`
	Messages []string   `json:"messages"` // of an RPC with one response: none if it failed

	// Wire says how each message came, "gzip" or "identity", where the client can see it (grpc-go's can). In a row: nil is
	// any.
	Wire []string `json:"-"`
}

// ok is the answer to an RPC that succeeds.
func ok(messages ...string) answer { return answer{Messages: messages} }

// failed is the answer to an RPC that fails.
func failed(code codes.Code, details string, messages ...string) answer {
	return answer{Code: code, Details: details, Messages: messages}
}

func (a answer) initial(keysAndValues ...string) answer {
	a.Initial = pairsOf(keysAndValues...)
	return a
}

func (a answer) trailing(keysAndValues ...string) answer {
	a.Trailing = pairsOf(keysAndValues...)
	return a
}

func (a answer) wire(how ...string) answer {
	a.Wire = how
	return a
}

func (a answer) String() string {
	return fmt.Sprintf("%v %q, initial %q, trailing %q, messages %q, on the wire %q",
		a.Code, a.Details, a.Initial, a.Trailing, a.Messages, a.Wire)
}

// normalize takes away what the transport and the client add, and the order of different keys, which grpc-go's client
// does not know.
func (a answer) normalize(by arity) answer {
	if a.Code != codes.OK && !by.streamsResponses() {
		a.Messages, a.Wire = nil, nil
	}
	a.Initial, a.Trailing = a.Initial.normalize(), a.Trailing.normalize()
	return a
}

func (p pairs) normalize() pairs {
	own := func(pair [2]string) bool {
		return pair[0] == "content-type" || pair[0] == "grpc-accept-encoding" || pair[0] == "grpc-encoding"
	}
	p = slices.DeleteFunc(slices.Clone(p), own)
	slices.SortStableFunc(p, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return p
}

// check compares an answer with what a row expects. Both are normalized.
func (a answer) check(t *testing.T, want answer) {
	t.Helper()
	same := a.Code == want.Code &&
		(a.Details == want.Details || want.Details == "*") &&
		slices.Equal(a.Initial, want.Initial) &&
		slices.Equal(a.Trailing, want.Trailing) &&
		slices.Equal(a.Messages, want.Messages) &&
		(a.Wire == nil || want.Wire == nil || slices.Equal(a.Wire, want.Wire))
	if !same {
		t.Errorf("the answer is\n  %v, want\n  %v", a, want)
	}
}

// arity is grpc-python's name for what a method takes and gives: unary or stream.
type arity string

const (
	uu arity = "uu"
	us arity = "us"
	su arity = "su"
	ss arity = "ss"
)

func (a arity) streamsRequests() bool  { return a[0] == 's' }
func (a arity) streamsResponses() bool { return a[1] == 's' }
