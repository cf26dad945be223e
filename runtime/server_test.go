package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestServer_StageCallMatrix calls everything in every stage.
func TestServer_StageCallMatrix(t *testing.T) {
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	type calls map[string]error // the error that each call returns
	tests := map[stage]calls{
		stopped: {
			"Start": nil, "Stop": nil, "AddService": nil, "AddGenericHandler": nil, "AddInsecurePort": nil,
			"AddListener": nil, "WaitForTermination": context.Canceled, "Serve": nil,
		},
		started: {
			"Start": ErrAlreadyStarted, "Stop": nil, "AddService": nil, "AddGenericHandler": nil, "AddInsecurePort": nil,
			"AddListener": nil, "WaitForTermination": context.Canceled, "Serve": ErrAlreadyStarted,
		},
		draining: {
			"Start": ErrAlreadyStarted, "Stop": nil, "AddService": nil, "AddGenericHandler": nil, "AddInsecurePort": nil,
			"AddListener": nil, "WaitForTermination": context.Canceled, "Serve": ErrAlreadyStarted,
		},
		grace: {
			"Start": ErrAlreadyStarted, "Stop": nil, "AddService": nil, "AddGenericHandler": nil, "AddInsecurePort": ErrStopped,
			"AddListener": ErrStopped, "WaitForTermination": context.Canceled, "Serve": ErrAlreadyStarted,
		},
		terminated: {
			"Start": ErrStopped, "Stop": nil, "AddService": nil, "AddGenericHandler": nil, "AddInsecurePort": ErrStopped,
			"AddListener": ErrStopped, "WaitForTermination": nil, "Serve": ErrStopped,
		},
	}
	names := map[stage]string{stopped: "stopped", started: "started", draining: "draining", grace: "grace", terminated: "terminated"}
	for at, calls := range tests {
		for call, want := range calls {
			t.Run(names[at]+"/"+call, func(t *testing.T) {
				s := serverAt(t, at)
				var err error
				switch call {
				case "Start":
					err = s.Start()
				case "Stop":
					wantClosed(t, "termination", s.Stop(0))
				case "AddService":
					err = s.AddService(Service{Name: "late.S", Methods: handlers{"M": echo()}})
				case "AddGenericHandler":
					err = s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return nil }))
				case "AddInsecurePort":
					var port int
					port, err = s.AddInsecurePort("127.0.0.1:0")
					if (port == 0) != (err != nil) {
						t.Errorf("the port is %d, and the error %v", port, err)
					}
				case "AddListener":
					l := newPipeListener()
					if err = s.AddListener(l); err == nil && (at == started || at == draining) {
						newTestClient(t, l.dial()).call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
					}
				case "WaitForTermination":
					err = s.WaitForTermination(expired)
				case "Serve":
					err = s.Serve(expired)
				}
				if !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("got %v, want %v", err, want)
				}
				wantStage := at
				switch {
				case at == stopped && call == "Start":
					wantStage = started
				case at == stopped && call == "Serve", call == "Stop":
					wantStage = terminated
				}
				if got := s.life.at(); got != wantStage {
					t.Errorf("the stage is %s, want %s", names[got], names[wantStage])
				}
			})
		}
	}
}

// serverAt returns a server in a stage; in grace, it has an RPC that runs.
func serverAt(t *testing.T, at stage) *testServer {
	t.Helper()
	methods := handlers{"Wait": blockUntilOver(), "Echo": echo()}
	if at == stopped {
		s := &testServer{t: t, Server: NewServer(ServerOptions{Grace: -1}), listener: newPipeListener()}
		check(t, s.AddListener(s.listener))
		t.Cleanup(func() {
			<-s.Stop(0)
			for _, p := range s.life.ports {
				p.Close(nil) // of a server that was not started
			}
		})
		return s
	}
	s := newTestServer(t, ServerOptions{}, methods)
	switch at {
	case draining:
		s.drain()
	case grace:
		client := s.dial()
		client.call("/t.S/Wait", "")
		client.ping()
		s.Stop(time.Hour)
	case terminated:
		wantClosed(t, "termination", s.Stop(0))
	}
	return s
}

// TestServer_Grace is about what running RPCs, clients and the callers of Stop see of the time of grace.
func TestServer_Grace(t *testing.T) {
	tests := []struct {
		name  string
		stops []time.Duration // one after another
		after time.Duration   // until termination; the handler takes 5 s
		ok    bool            // the RPC succeeds
	}{
		{"LongEnough", []time.Duration{10 * time.Second}, 5 * time.Second, true},
		{"TooShort", []time.Duration{time.Second}, time.Second, false},
		{"None", []time.Duration{0}, 0, false},
		{"Negative", []time.Duration{-time.Second}, 0, false},
		{"ShortestFirst", []time.Duration{time.Second, time.Minute}, time.Second, false},
		{"ShortestLast", []time.Duration{time.Minute, time.Second}, time.Second, false},
		{"ShortestLastNone", []time.Duration{time.Minute, 0}, 0, false},
		{"Longest", []time.Duration{2 * time.Minute, time.Minute}, 5 * time.Second, true},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				select {
				case <-time.After(5 * time.Second):
				case <-ctx.Done():
				}
				return request, nil
			})})
			client := s.dial()
			st := client.call("/t.S/M", "x")
			client.ping()
			began := time.Now()
			var channels []<-chan struct{}
			for _, grace := range tt.stops {
				channels = append(channels, s.Stop(grace))
			}
			if tt.ok {
				st.result().want(codes.OK, "", "x")
			} else {
				st.result().want(codes.Unavailable, "Cancelling all calls")
			}
			if took := time.Since(began); took != tt.after {
				t.Errorf("the RPC ended after %v, want %v", took, tt.after)
			}
			client.close() // as clients do when they have received GOAWAY
			for _, channel := range channels {
				wantClosed(t, "termination", channel)
			}
			check(t, s.WaitForTermination(context.Background()))
			if took := time.Since(began); took < tt.after || took > tt.after+handlerExitTimeout { // the handler may not have returned yet
				t.Errorf("it was terminated after %v, want %v", took, tt.after)
			}
		})
	}
}

// TestServer_GraceRefuses checks that nothing new begins once the connection knows.
func TestServer_GraceRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"Wait": blockUntilOver(), "Echo": echo()})
		client, idle := s.dial(), s.dial()
		st := client.call("/t.S/Wait", "")
		client.ping()
		idle.ping()
		terminatedCh := s.Stop(time.Minute)
		idle.waitEnd() // the client has acknowledged, and nothing runs
		client.wait("the second GOAWAY", func() bool { return len(client.goAways) == 2 && client.lastID == st.id })
		late := client.call("/t.S/Echo", "x")
		client.ping()
		if r := late.snapshot(); r.ended || r.reset || len(r.messages) != 0 {
			t.Errorf("an RPC behind GOAWAY was answered: %+v", r)
		}
		nc := s.listener.dial()
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("a new connection was accepted")
		}
		nc.Close()
		st.result().want(codes.Unavailable, "Cancelling all calls")
		client.waitEnd()
		wantClosed(t, "termination", terminatedCh)
	})
}

// TestServer_GraceEndsWithCancelledRPC has the last RPC end by the client's reset: before its handler could run, too.
func TestServer_GraceEndsWithCancelledRPC(t *testing.T) {
	for _, path := range []string{"/t.S/Wait", "/t.S/Unfinished"} {
		runInBubble(t, path, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"Wait": blockUntilOver(), "Unfinished": echo()})
			client := s.dial()
			var st *testStream
			if path == "/t.S/Wait" {
				st = client.call(path, "")
			} else {
				st = client.open(path)
			}
			client.ping()
			terminatedCh := s.Stop(time.Hour)
			client.wait("the second GOAWAY", func() bool { return len(client.goAways) == 2 })
			st.cancel()
			client.waitEnd() // not after an hour
			wantClosed(t, "termination", terminatedCh)
		})
	}
}

// TestServer_StopInHandler calls Stop from inside a handler.
func TestServer_StopInHandler(t *testing.T) {
	for name, grace := range map[string]time.Duration{"None": 0, "Some": time.Minute} {
		for _, inline := range []bool{false, true} {
			runInBubble(t, name, func(t *testing.T) {
				var s *testServer
				stop := UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
					s.Stop(grace)
					if grace == 0 && !inline {
						<-ctx.Done()
					}
					return request, nil
				})
				if inline {
					stop = stop.WithExecutor(Inline)
				}
				s = newTestServer(t, ServerOptions{}, handlers{"Stop": stop})
				client := s.dial()
				r := client.call("/t.S/Stop", "x").result()
				if grace > 0 {
					r.want(codes.OK, "", "x")
				} else if code, details := r.status(); !inline || code != codes.OK {
					if code != codes.Unavailable || details != "Cancelling all calls" {
						t.Errorf("%v %q", code, details)
					}
				}
				client.close()
				check(t, s.WaitForTermination(context.Background()))
			})
		}
	}
}

// TestServer_StopDespiteHandler stops while a handler does not heed its context: termination does not wait for it.
func TestServer_StopDespiteHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			<-release
			return nil, errors.New("dropped")
		})})
		client := s.dial()
		st := client.call("/t.S/M", "")
		synctest.Wait() // until the handler is where it does not heed its context
		terminatedCh := s.Stop(0)
		st.result().want(codes.Unavailable, "Cancelling all calls")
		wantClosed(t, "termination", terminatedCh)
		if n := countWorkers(); n != 1 {
			t.Errorf("%d workers, want the one that is busy", n)
		}
		close(release)
		synctest.Wait()
		if n := countWorkers(); n != 0 || s.active.Load() != 0 {
			t.Errorf("%d workers and %d RPCs", n, s.active.Load())
		}
	})
}

// TestServer_StopWithSilentClients has clients that connect and say nothing, little, or do not leave.
func TestServer_StopWithSilentClients(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Hour} {
		for _, says := range []string{"", "PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n"} {
			runInBubble(t, grace.String()+"/"+strings.ReplaceAll(says, "/", ""), func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, nil)
				nc := s.listener.dial()
				defer nc.Close()
				go func() { // reads, but never closes
					buf := make([]byte, 1000)
					for {
						if _, err := nc.Read(buf); err != nil {
							return
						}
					}
				}()
				nc.Write([]byte(says))
				synctest.Wait()
				began := time.Now()
				wantClosed(t, "termination", s.Stop(grace))
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// TestServer_SetupTimeout closes connections that do not begin.
func TestServer_SetupTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{SetupTimeout: 3 * time.Second}, nil)
		nc := s.listener.dial()
		began := time.Now()
		if _, err := nc.Read(make([]byte, 1000)); err == nil {
			t.Error("the server has spoken")
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it was closed after %v", took)
		}
		nc.Close()
		client := s.dial()
		time.Sleep(time.Hour) // the timeout is over once the client has begun
		client.ping()
	})
}

// TestServer_Serve is the whole life in one call.
func TestServer_Serve(t *testing.T) {
	for _, grace := range []time.Duration{0, -1, time.Minute} {
		runInBubble(t, grace.String(), func(t *testing.T) {
			s := NewServer(ServerOptions{Grace: grace})
			l := newPipeListener()
			check(t, s.AddListener(l))
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"Wait": blockUntilOver()}}))
			ctx, cancel := context.WithCancel(context.Background())
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx) }()
			client := newTestClient(t, l.dial())
			st := client.call("/t.S/Wait", "")
			client.ping()
			began := time.Now()
			cancel()
			st.result().want(codes.Unavailable, "Cancelling all calls")
			client.close()
			check(t, <-served)
			want := map[time.Duration]time.Duration{0: defaultGrace, -1: 0, time.Minute: time.Minute}[grace]
			if took := time.Since(began); took < want || took > want+handlerExitTimeout { // the handler may not have returned yet
				t.Errorf("it took %v, want %v", took, want)
			}
		})
	}
}

// TestServer_ServeEndsByStop calls Stop while Serve runs.
func TestServer_ServeEndsByStop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := NewServer(ServerOptions{})
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background()) }()
		synctest.Wait()
		<-s.Stop(time.Hour)
		check(t, <-served)
	})
}
