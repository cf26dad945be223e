package http2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// netCall is a call of a server that is not ours.
type netCall struct {
	echoCall
	heads, trailers string
}

func (st *netCall) HandleHead(head *fields.Section, endStream bool) {
	st.heads += head.Status + endOf(endStream) + "; "
	if endStream {
		st.end <- nil
	}
}

func (st *netCall) HandleData(data []byte, endStream bool) {
	st.echoCall.HandleData(data, endStream)
	if endStream {
		st.end <- nil
	}
}

func (st *netCall) HandleTrailers(trailers *fields.Section) {
	st.trailers = lines(trailers)
	st.end <- nil
}

// netEvents says when streams can be opened.
type netEvents struct {
	quietEvents
	ready chan struct{}
	once  *sync.Once
}

func (e netEvents) HandleSettings() { e.once.Do(func() { close(e.ready) }) }

// netServer answers as the field "what" asks it to.
func netServer(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("what") {
	case "interim":
		w.WriteHeader(http.StatusEarlyHints)
	case "empty":
		w.WriteHeader(http.StatusNoContent)
		return
	case "abort":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "early":
		io.WriteString(w, "no")
		return
	}
	w.Header().Set("Trailer", "T")
	io.Copy(w, r.Body)
	w.Header().Set("T", r.Trailer.Get("R")+"!")
}

// TestClient_NetHTTP calls the server of net/http, which shares no code with ours. It speaks HTTP/2 without TLS.
func TestClient_NetHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(netServer), Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	events := netEvents{ready: make(chan struct{}), once: new(sync.Once)}
	c := NewClient(nc, events, Config{StreamWindow: 20_000}.WithDefaults(), budget.New(-1, nil, nil))
	ended := make(chan error, 1)
	go func() { ended <- c.Serve() }()
	<-events.ready
	var calls sync.WaitGroup
	for _, row := range []struct {
		what, heads, trailers string
		size                  int
		reset                 bool
	}{
		{"echo", "200; ", " t=r!", 0, false},
		{"echo", "200; ", " t=r!", 10, false},
		{"echo", "200; ", " t=r!", 300_000, false},
		{"interim", "103; 200; ", " t=r!", 5000, false},
		{"empty", "204 END; ", "", 0, false},
		{"abort", "200; ", "", 0, true},
		{"early", "200; ", "", 0, false},
	} {
		for range 10 {
			calls.Go(func() {
				st := new(netCall)
				st.Handler, st.end = st, make(chan error, 2)
				content := pattern(row.size, row.size)
				if err := c.Open(&st.Stream, requestBlock("what", row.what, "trailer", "r")); err != nil {
					t.Errorf("%s: %v", row.what, err)
					return
				}
				trailers := fields.AppendField(nil, "r", "r")
				if row.trailers == "" {
					trailers = nil // of a stream that it has reset, this server takes them for an error of the connection
				}
				st.Message(nil, bytes.Clone(content), trailers, 0)
				c.Flush()
				var reset ResetError
				if err := <-st.end; errors.As(err, &reset) != row.reset || err != nil && !row.reset {
					t.Errorf("%s: ended by %v", row.what, err)
				}
				if row.what == "early" {
					content = []byte("no")
				}
				if st.heads != row.heads || st.trailers != row.trailers || !bytes.Equal(st.data, content) {
					t.Errorf("%s: heads %q, %d octets of %d, trailers %q", row.what, st.heads, len(st.data), len(content), st.trailers)
				}
			})
		}
	}
	calls.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a test that would hang otherwise
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	mustEnd(t, ended) // in whatever way: this server closes its sockets without waiting for the last octets of its clients
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("the server's Serve has returned %v", err)
	}
}
