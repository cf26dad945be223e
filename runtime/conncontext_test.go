package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/servicer"
)

// ownConn is a connection of a type that the application knows.
type ownConn struct {
	net.Conn
	number int
}

// seenKey is the key of what an interceptor has found.
type seenKey struct{}

// ownListener is a listener of such connections.
type ownListener struct {
	*pipeListener
	accepted int
}

func (l *ownListener) Accept() (net.Conn, error) {
	nc, err := l.pipeListener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted++
	return &ownConn{nc, l.accepted}, nil
}

// TestConnContext_Values has the RPCs of two connections look for the value of theirs, wherever a context is to be had.
func TestConnContext_Values(t *testing.T) {
	for _, intercepted := range []bool{false, true} {
		runInBubble(t, map[bool]string{false: "Handler", true: "Interceptor"}[intercepted], func(t *testing.T) {
			var calls atomic.Int64
			options := ServerOptions{ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
				calls.Add(1)
				if own, ok := nc.(*ownConn); ok {
					return context.WithValue(ctx, testKey{}, string(rune('0'+own.number)))
				}
				t.Errorf("ConnContext got a %T", nc)
				return ctx
			}}
			if intercepted {
				options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
					return next(context.WithValue(ctx, seenKey{}, ctx.Value(testKey{})), call)
				}}
			}
			s := newTestServer(t, options, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				number, _ := child.Value(testKey{}).(string)
				if intercepted && ctx.Value(seenKey{}) != number {
					t.Errorf("the interceptor had %v", ctx.Value(seenKey{}))
				}
				if ctx.Value(request) != nil {
					t.Error("there is a value for any key")
				}
				return rawOf(number), nil
			})})
			own := &ownListener{pipeListener: newPipeListener()}
			check(t, s.AddListener(own))
			first, second := newTestClient(t, own.dial()), newTestClient(t, own.dial())
			for range 2 {
				first.call("/t.S/M", "x").result().want(codes.OK, "", "1")
				second.call("/t.S/M", "x").result().want(codes.OK, "", "2")
			}
			if calls := calls.Load(); calls != 2 {
				t.Errorf("ConnContext was called %d times for 2 connections", calls)
			}
		})
	}
}

// TestConnContext_OnlyValues has ConnContext return contexts that have ended, or know another RPC. RPCs have their own ends,
// metadata and peer.
func TestConnContext_OnlyValues(t *testing.T) {
	for name, of := range map[string]func(ctx context.Context) context.Context{
		"Same": func(ctx context.Context) context.Context { return ctx },
		"Cancelled": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(errors.New("not the RPC's"))
			return ctx
		},
		"Late": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithDeadline(ctx, time.Unix(1, 0))
			cancel()
			return ctx
		},
		"Metadata": func(ctx context.Context) context.Context {
			return metadata.NewIncomingContext(ctx, metadata.Pairs("k", "another's"))
		},
		"Peer": func(ctx context.Context) context.Context { return peer.NewContext(ctx, &peer.Peer{}) },
		"RPC":  func(ctx context.Context) context.Context { return context.WithValue(ctx, servicer.Key{}, noRPC{}) },
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return of(ctx) }},
				handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
					_, hasDeadline := ctx.Deadline()
					if err := ctx.Err(); err != nil || hasDeadline || context.Cause(ctx) != nil {
						t.Errorf("the context of a new RPC has %v, a deadline: %v, and the cause %v", err, hasDeadline, context.Cause(ctx))
					}
					child, cancel := context.WithCancel(ctx)
					defer cancel()
					if child.Err() != nil || context.Cause(child) != nil {
						t.Errorf("a child has the cause %v", context.Cause(child))
					}
					md, _ := metadata.FromIncomingContext(ctx)
					p, _ := peer.FromContext(ctx)
					if Method(ctx) != "/t.S/M" || len(md["k"]) != 0 || len(md[":authority"]) != 1 || p == nil || p.Addr == nil {
						t.Errorf("the RPC is %q, from %v, with %v", Method(ctx), p, md)
					}
					return request, nil
				})})
			s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
		})
	}
}

// TestConnContext_Fails has ConnContext fail for the first of two connections.
func TestConnContext_Fails(t *testing.T) {
	for name, fails := range map[string]func() context.Context{
		"Panic":  func() context.Context { panic("on purpose") },
		"Nil":    func() context.Context { return nil },
		"Goexit": func() context.Context { goruntime.Goexit(); return nil },
	} {
		runInBubble(t, name, func(t *testing.T) {
			var calls atomic.Int64
			s := newTestServer(t, ServerOptions{ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
				if calls.Add(1) == 1 {
					return fails()
				}
				return ctx
			}}, handlers{"M": echo()})
			s.dial().waitEnd()
			s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
			if lines := s.log.lines("Exception in ServerOptions.ConnContext"); len(lines) != 1 {
				t.Errorf("logged %v", s.log)
			}
		})
	}
}

// TestConnContext_TLS checks that the handshake is over when ConnContext is called.
func TestConnContext_TLS(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			secure, ok := nc.(*tls.Conn)
			if !ok {
				t.Errorf("ConnContext got a %T", nc)
				return ctx
			}
			return context.WithValue(ctx, testKey{}, secure.ConnectionState().ServerName)
		}}, handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			return rawOf(ctx.Value(testKey{}).(string)), nil
		})})
		listener := newPipeListener()
		check(t, s.AddSecureListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		client := tls.Client(listener.dial(), &tls.Config{RootCAs: pool, ServerName: "test", NextProtos: []string{"h2"}})
		newTestClient(t, client).call("/t.S/M", "x").result().want(codes.OK, "", "test")
		if log := s.log.String(); strings.Contains(log, "Exception") {
			t.Errorf("logged %v", log)
		}
	})
}
