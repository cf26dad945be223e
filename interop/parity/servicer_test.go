package parity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/authcontext"
)

type raw = runtime.RawMessage

// events are events by name, which come into being when somebody first speaks of them.
type events struct {
	mu   sync.Mutex
	all  map[string]chan struct{}
	past map[string]bool
}

func (e *events) of(name string) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all[name] == nil {
		e.all[name] = make(chan struct{})
	}
	return e.all[name]
}

func (e *events) signal(name string) {
	event := e.of(name)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.past[name] {
		e.past[name] = true
		close(event)
	}
}

// await reports false if the event does not come.
func (e *events) await(name string) bool {
	select {
	case <-e.of(name):
		return true
	case <-time.After(patience):
		return false
	}
}

// servicer does what scripts say; testdata/server.py is the same in Python.
type servicer struct {
	events *events
	server *runtime.Server
}

func (s *servicer) methods() map[string]*runtime.MethodHandler {
	return map[string]*runtime.MethodHandler{
		"uu": runtime.UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			return s.unaryResponse(ctx, only(request))
		}),
		"us": runtime.UnaryStream(func(ctx context.Context, request *raw, responses runtime.ResponseStream[raw]) error {
			return s.play(ctx, only(request), responses.Send)
		}),
		"su": runtime.StreamUnary(func(ctx context.Context, requests runtime.RequestIterator[raw]) (*raw, error) {
			return s.unaryResponse(ctx, requests.Next)
		}),
		"ss": runtime.StreamStream(func(ctx context.Context, requests runtime.RequestIterator[raw], responses runtime.ResponseStream[raw]) error {
			return s.play(ctx, requests.Next, responses.Send)
		}),
	}
}

// only makes an iterator of one request.
func only(request *raw) func() (*raw, error) {
	return func() (*raw, error) {
		if request == nil {
			return nil, io.EOF
		}
		r := request
		request = nil
		return r, nil
	}
}

// unaryResponse answers with the last message that the script sends.
func (s *servicer) unaryResponse(ctx context.Context, next func() (*raw, error)) (*raw, error) {
	response := &raw{}
	err := s.play(ctx, next, func(r *raw) error {
		response = r
		return nil
	})
	return response, err
}

func (s *servicer) play(ctx context.Context, next func() (*raw, error), send func(*raw) error) error {
	var steps script
	md := runtime.InvocationMetadata(ctx)
	if text := md.Get("script-bin"); text != "" {
		if err := json.Unmarshal([]byte(text), &steps); err != nil {
			return err
		}
	}
	p := &player{servicer: s, ctx: ctx, run: md.Get("run"), next: next, send: send}
	for _, step := range steps {
		if err := p.do(step); err != nil {
			return err
		}
	}
	return p.status.Err()
}

// player is one RPC's way through its script.
type player struct {
	*servicer
	ctx    context.Context
	run    string
	next   func() (*raw, error)
	send   func(*raw) error
	status *status.Status // what set_code and set_details have made
}

func (p *player) do(s step) error {
	switch s.Do {
	case "reply", "send":
		return p.send(&raw{Data: message{s.Text, s.Size}.payload()})
	case "send_none":
		return p.send(nil)
	case "repeat":
		for range s.N {
			if err := p.send(&raw{Data: message{s.Text, s.Size}.payload()}); err != nil {
				return err
			}
		}
	case "echo", "join", "recv", "drain", "recv_error":
		return p.receive(s)
	case "raise", "raise_early":
		panic(s.Text)
	case "raise_rpc_error":
		panic(status.Error(codes.Unknown, s.Text))
	case "raise_unprintable":
		panic(unprintable{})
	case "fail":
		return errors.New(s.Text)
	case "abort", "abort_number":
		return status.Error(codes.Code(s.Code), s.Text)
	case "abort_with_status":
		must(runtime.SetTrailingMetadata(p.ctx, s.MD.metadata()))
		return status.Error(codes.Code(s.Code), s.Text)
	case "set_code": // Go has no set_code: the status is what the handler returns
		p.status = status.New(codes.Code(s.Code), p.status.Message())
	case "set_details":
		p.status = status.New(p.status.Code(), s.Text)
	case "send_initial":
		must(runtime.SendInitialMetadata(p.ctx, s.MD.metadata()))
	case "set_trailing":
		must(runtime.SetTrailingMetadata(p.ctx, s.MD.metadata()))
	case "compress":
		// Where Python ignores the call silently, here it fails; the row is about what comes of it.
		_ = runtime.SetCompression(p.ctx, compressions[s.Text])
	case "plain_next":
		must(runtime.DisableNextMessageCompression(p.ctx))
	default:
		return p.control(s)
	}
	return nil
}

// must stands for an exception that is not caught.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

type unprintable struct{}

func (unprintable) String() string { panic("not printable") }

var compressions = map[string]runtime.Compression{
	"identity": runtime.NoCompression, "gzip": runtime.Gzip, "deflate": runtime.Deflate,
}

func (p *player) receive(s step) error {
	var joined bytes.Buffer
	for n := 0; s.Do != "recv" || n < max(1, s.N); n++ {
		request, err := p.next()
		if s.Do == "recv_error" {
			return p.send(&raw{Data: []byte(map[bool]string{true: "end", false: "error"}[err == io.EOF])})
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		joined.Write(request.Data)
		if s.Do == "echo" {
			if err := p.send(request); err != nil {
				return err
			}
		}
	}
	if s.Do == "join" {
		return p.send(&raw{Data: joined.Bytes()})
	}
	return nil
}

// control does the steps that concern the RPC as a whole.
func (p *player) control(s step) error {
	name := p.run + "/" + s.Text
	switch s.Do {
	case "signal":
		p.events.signal(name)
	case "await":
		p.events.await(name)
	case "callback":
		if !runtime.AddCallback(p.ctx, func() { p.events.signal(name) }) {
			return errors.New("the RPC is over before the script could begin")
		}
	case "late_callback":
		if !runtime.AddCallback(p.ctx, func() {}) {
			p.events.signal(name)
		}
	case "recv_fails":
		if _, err := p.next(); err != nil && err != io.EOF {
			p.events.signal(name)
		}
	case "bad_callback":
		runtime.AddCallback(p.ctx, func() { panic("callback") })
	case "until_over":
		<-p.ctx.Done()
	case "cancel":
		return runtime.Cancel(p.ctx)
	case "stop":
		p.server.Stop(time.Duration(s.N) * time.Second)
	case "end":
	default:
		return p.tell(s)
	}
	return nil
}

// tell answers with a fact about the RPC.
func (p *player) tell(s step) error {
	var told any
	switch s.Do {
	case "tell_metadata":
		md := slices.DeleteFunc(pairsFrom(runtime.InvocationMetadata(p.ctx)), func(pair [2]string) bool {
			return slices.Contains([]string{"script-bin", "run", "user-agent", ":authority", "host"}, pair[0])
		})
		slices.SortStableFunc(md, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
		told = md
	case "tell_peer":
		scheme, _, _ := strings.Cut(authcontext.PeerName(p.ctx), ":")
		return p.send(&raw{Data: []byte(scheme)})
	case "tell_active":
		told = p.ctx.Err() == nil
	case "tell_deadline":
		deadline, ok := p.ctx.Deadline()
		text := "none"
		if remaining := time.Until(deadline); ok {
			text = map[bool]string{true: "some", false: "another"}[remaining > 0 && remaining <= time.Duration(s.N)*time.Second]
		}
		return p.send(&raw{Data: []byte(text)})
	case "tell_total":
		total := 0
		for request, err := p.next(); err == nil; request, err = p.next() {
			total += len(request.Data)
		}
		told = total
	case "tell_auth":
		told = append([]string{}, authcontext.Of(p.ctx)[s.Text]...)
	case "tell_identities":
		told = []any{authcontext.PeerIdentityKey(p.ctx), append([]string{}, slices.Sorted(slices.Values(authcontext.PeerIdentities(p.ctx)))...)}
	case "tell_trailing":
		told = append(pairs{}, pairsFrom(runtime.TrailingMetadata(p.ctx))...)
	default:
		return errors.New("the servicer does not know what " + s.Do + " is")
	}
	return p.send(&raw{Data: toJSON(told)})
}

// happened reports whether an event has come.
func (e *events) happened(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.past[name]
}

func newEvents() *events {
	return &events{all: map[string]chan struct{}{}, past: map[string]bool{}}
}
