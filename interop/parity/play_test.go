package parity

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
)

// call is what a client does.
type call struct {
	Path        string    `json:"path"` // empty: /parity.P/<arity>; "%" stands for the arity
	Arity       arity     `json:"arity"`
	Metadata    pairs     `json:"metadata,omitempty"`
	Timeout     float64   `json:"timeout,omitempty"`  // seconds; 0: patience; -1: none
	Requests    []message `json:"requests"`           // nil: one
	Open        bool      `json:"open,omitempty"`     // do not half-close
	Read        int       `json:"read,omitempty"`     // stop reading after so many messages, until the result is asked for
	Lockstep    bool      `json:"lockstep,omitempty"` // each further request waits for one more message
	Compression string    `json:"compression,omitempty"`
}

// client plays one of the clients; underWay is an RPC that it has begun.
type client interface {
	name() string
	begin(t testing.TB, to target, what call) underWay
	disconnect(t testing.TB, address string)
	close()
}

type underWay interface {
	cancel(t testing.TB)
	message(t testing.TB) // waits for one more message
	over(t testing.TB) bool
	result(t testing.TB) answer
}

// server plays one of the servers; instance is one that it has started.
type server interface {
	name() string
	start(t testing.TB, variant string) instance
	signal(t testing.TB, name string)
	await(t testing.TB, name string)
	happened(t testing.TB, name string) bool
}

type instance interface {
	target() target
	stop(t testing.TB, seconds float64)
	wantTerminated(t testing.TB)
	addService(t testing.TB, name string)
}

// row is one fact about servers.
type row struct {
	name    string
	on      string        // which server; see variants
	arities []arity       // nil: all
	do      script        // what the handler does
	call    call          // what the client does
	want    answer        // what the client sees
	play    func(p *play) // in place of a single call

	// Where grpc-python's server answers differently, why is the reason, and theirs what it answers. If theirs is nil, the
	// row is not played against it.
	why    string
	theirs *answer

	// iterating says that grpc-python tells an exception in a generator from one outside, as an iterator that fails. Our
	// handlers are functions, and do not.
	iterating bool
}

var (
	allArities      = []arity{uu, us, su, ss}
	unaryResponses  = []arity{uu, su}
	streamResponses = []arity{us, ss}
	unaryRequests   = []arity{uu, us}
	streamRequests  = []arity{su, ss}
)

// stage is a client and a server, and the servers that it has started.
type stage struct {
	client  client
	server  server
	started map[string]instance
}

// runs numbers the rows as they are played: the events of a process are there for all of them.
var runs atomic.Int64

// onStages runs a test with each client and each server.
func onStages(t *testing.T, test func(t *testing.T, s *stage)) {
	certs := newCertificates(t)
	for _, by := range []string{"grpc-go", "grpc-python"} {
		for _, to := range []string{"gogreeter", "grpc-python"} {
			t.Run(by+" to "+to, func(t *testing.T) {
				s := &stage{started: map[string]instance{}}
				s.client = &goClient{channels: clientChannels{}}
				if by == "grpc-python" {
					clientProcess.start(t)
					s.client = &pythonClient{}
				}
				s.server = &goServer{certs, newEvents()}
				if to == "grpc-python" {
					serverProcess.start(t)
					s.server = &pythonServer{certs}
				}
				t.Cleanup(s.client.close)
				test(t, s)
			})
		}
	}
}

// instance returns the server of a variant, which all rows share.
func (s *stage) instance(t testing.TB, all testing.TB, variant string) instance {
	t.Helper()
	if s.started[variant] == nil {
		i := s.server.start(all, variant)
		all.Cleanup(func() { s.client.disconnect(all, i.target().Address) })
		s.started[variant] = i
	}
	return s.started[variant]
}

// runRows plays the rows of a table.
func runRows(t *testing.T, rows []row) {
	onStages(t, func(stageT *testing.T, s *stage) {
		for _, r := range rows {
			stageT.Run(r.name, func(t *testing.T) {
				if s.server.name() == "grpc-python" && r.why != "" && r.theirs == nil {
					t.Skip("not played against grpc-python: " + r.why)
				}
				for _, a := range r.playedBy() {
					t.Run(string(a), func(t *testing.T) {
						p := &play{T: t, all: stageT, stage: s, row: r, arity: a, run: fmt.Sprint(t.Name(), runs.Add(1))}
						p.perform()
					})
				}
			})
		}
	})
}

func (r *row) playedBy() []arity {
	if r.arities != nil {
		return r.arities
	}
	return allArities
}

// play is a row that is being played.
type play struct {
	*testing.T
	all testing.TB // what lives until all rows have been played
	*stage
	row   row
	arity arity
	run   string
}

func (p *play) perform() {
	p.Helper()
	if p.row.play != nil {
		p.row.play(p)
		return
	}
	p.check(p.call(p.row.call), p.row.want, p.row.theirs)
}

// python reports whether the server is grpc-python's.
func (p *play) python() bool { return p.server.name() == "grpc-python" }

// check compares an answer with what is wanted, of grpc-python's server if theirs is not nil.
func (p *play) check(have, want answer, theirs *answer) {
	p.Helper()
	if p.python() {
		if theirs != nil {
			want = *theirs
		}
		if p.row.iterating && p.arity.streamsResponses() {
			want.Details = strings.Replace(want.Details, "Exception calling application: ", "Exception iterating responses: ", 1)
		}
	}
	have.check(p.T, want.normalize(p.arity))
}

// call makes an RPC with the row's script, and returns the answer.
func (p *play) call(c call) answer {
	p.Helper()
	return p.result(p.begin(c, p.row.do))
}

func (p *play) result(u underWay) answer {
	p.Helper()
	return u.result(p.T).normalize(p.arity)
}

// begin begins an RPC whose handler does what a script says.
func (p *play) begin(c call, s script) underWay {
	p.Helper()
	return p.beginAt(p.instance(p.T, p.all, p.row.on), c, s)
}

// beginAt is begin for a server that the row has started.
func (p *play) beginAt(i instance, c call, s script) underWay {
	p.Helper()
	return p.beginBy(p.client, i.target(), c, s)
}

// beginBy is begin for a client and a target of the row's own.
func (p *play) beginBy(by client, to target, c call, s script) underWay {
	p.Helper()
	if c.Arity == "" {
		c.Arity = p.arity
	}
	if c.Path == "" {
		c.Path = "/parity.P/%"
	}
	c.Path = strings.ReplaceAll(c.Path, "%", string(p.arity))
	if c.Requests == nil {
		c.Requests = texts("q")
	}
	c.Metadata = append(slices.Clone(c.Metadata), [2]string{"run", p.run})
	if s != nil {
		c.Metadata = append(c.Metadata, [2]string{"script-bin", fmt.Sprintf("%x", toJSON(s))})
	}
	return by.begin(p.T, to, c)
}

// fresh starts a server of the row's own.
func (p *play) fresh(variant string) instance {
	p.Helper()
	i := p.server.start(p.T, variant)
	p.Cleanup(func() { p.client.disconnect(p.T, i.target().Address) }) // an idle client would not notice that it stops
	return i
}

// signal and await speak of events in the handlers of this row.
func (p *play) signal(name string) { p.Helper(); p.server.signal(p.T, p.run+"/"+name) }
func (p *play) await(name string)  { p.Helper(); p.server.await(p.T, p.run+"/"+name) }

func (p *play) happened(name string) bool { p.Helper(); return p.server.happened(p.T, p.run+"/"+name) }

// differs is for a row's theirs.
func differs(a answer) *answer { return &a }

var notFound = failed(codes.Unimplemented, "Method not found!")
