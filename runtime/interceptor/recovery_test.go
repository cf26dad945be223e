package interceptor_test

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
)

func explode(context.Context, string) (string, error) { panic("boom") }

func TestRecovery(t *testing.T) {
	tests := []struct {
		name    string
		behave  behavior
		hook    func(ctx context.Context, call *runtime.ServerCall, reason any, stack []byte) error
		code    codes.Code
		details string
		logged  string // by the server; "" nothing
	}{
		{"NoHook", explode, nil, codes.Unknown, "Exception calling application: boom", "explode"},
		{
			"Maps", explode,
			func(ctx context.Context, call *runtime.ServerCall, reason any, stack []byte) error {
				if reason != "boom" || call.Method() != "/t.S/A" || !strings.Contains(string(stack), "explode") || ctx.Err() != nil {
					return errors.New("the hook was told wrong")
				}
				return status.Error(codes.Internal, "sorry")
			},
			codes.Internal, "sorry", "",
		},
		{
			"LeavesIt", explode,
			func(context.Context, *runtime.ServerCall, any, []byte) error { return nil },
			codes.Unknown, "Exception calling application: boom", "explode",
		},
		{
			"Panics", explode,
			func(context.Context, *runtime.ServerCall, any, []byte) error { panic("bang") },
			codes.Unknown, "Exception calling application: bang", "explode",
		},
		{
			"NilPanic", func(context.Context, string) (string, error) { panic(nil) },
			func(_ context.Context, _ *runtime.ServerCall, reason any, _ []byte) error {
				return status.Errorf(codes.Internal, "%T", reason)
			},
			codes.Internal, "*runtime.PanicNilError", "",
		},
		{
			"Goexit", func(context.Context, string) (string, error) { goruntime.Goexit(); return "", nil },
			func(context.Context, *runtime.ServerCall, any, []byte) error {
				return errors.New("the hook was called")
			},
			codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)", "Goexit",
		},
		{
			"NoPanic", func(context.Context, string) (string, error) { return "", errors.New("an error") },
			func(context.Context, *runtime.ServerCall, any, []byte) error {
				return errors.New("the hook was called")
			},
			codes.Unknown, "an error", "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, tt.behave, interceptor.Recovery(interceptor.RecoveryOptions{Hook: tt.hook}))
			_, err := c.call("/t.S/A", "x")
			wantStatus(t, err, tt.code, tt.details)
			if got := strings.Join(c.log.lines(), ""); !strings.Contains(got, tt.logged) || tt.logged == "" && got != "" {
				t.Errorf("the server has logged %q, want %q", got, tt.logged)
			}
		})
	}
}

func TestMaskErrors(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		options interceptor.MaskErrorsOptions
		code    codes.Code
		details string
	}{
		{"Hides", errors.New("password is 1234"), interceptor.MaskErrorsOptions{}, codes.Internal, "internal error"},
		{"LeavesStatus", status.Error(codes.NotFound, "no such song"), interceptor.MaskErrorsOptions{}, codes.NotFound, "no such song"},
		{"KeepsCodesOfContexts", context.DeadlineExceeded, interceptor.MaskErrorsOptions{}, codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		{"Maps", errors.New("full"), interceptor.MaskErrorsOptions{Map: func(_ context.Context, call *runtime.ServerCall, err error) error {
			return status.Error(codes.Unavailable, call.Method()+" is "+err.Error())
		}}, codes.Unavailable, "/t.S/A is full"},
		{"MapsToOK", errors.New("never mind"), interceptor.MaskErrorsOptions{Map: func(ctx context.Context, call *runtime.ServerCall, err error) error {
			return call.Respond(ctx, new(text))
		}}, codes.OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen error
			tt.options.Seen = func(_ context.Context, _ *runtime.ServerCall, err error) { seen = err }
			c := serve(t, func(context.Context, string) (string, error) { return "", tt.err }, interceptor.MaskErrors(tt.options))
			_, err := c.call("/t.S/A", "x")
			wantStatus(t, err, tt.code, tt.details)
			if wantSeen := tt.name != "LeavesStatus"; (seen == tt.err) != wantSeen {
				t.Errorf("Seen was called with %v", seen)
			}
		})
	}
}

// TestMaskErrors_BetweenOthers has an interceptor further in put words around errors, which does not make them fit for clients.
// Another one ends the RPC, and nobody has to hear of its handler's error.
func TestMaskErrors_BetweenOthers(t *testing.T) {
	words := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		if err := next(ctx, call); err != nil {
			return fmt.Errorf("%s: %w", call.Method(), err)
		}
		return nil
	}
	tests := []struct {
		name    string
		inner   runtime.ServerInterceptor
		handler behavior
		code    codes.Code
		details string
		seen    string
	}{
		{
			"Words", words, func(context.Context, string) (string, error) { return "", errors.New("password is 1234") },
			codes.Internal, "internal error", "/t.S/A: password is 1234",
		},
		{
			"WordsAroundStatus", words, func(context.Context, string) (string, error) { return "", status.Error(codes.NotFound, "no such song") },
			codes.NotFound, "/t.S/A: rpc error: code = NotFound desc = no such song", "",
		},
		{
			"Ended", interceptor.Deadline(interceptor.DeadlineOptions{Max: time.Millisecond}), func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				return "", errors.New("stopped working")
			},
			codes.DeadlineExceeded, "Deadline Exceeded", "",
		},
	}
	for _, tt := range tests {
		for _, selected := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, selected), func(t *testing.T) {
				returned := make(chan struct{})
				var seen string
				var outer error
				note := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
					defer close(returned)
					outer = next(ctx, call)
					return outer
				}
				around := interceptor.MaskErrors(interceptor.MaskErrorsOptions{
					Seen: func(_ context.Context, _ *runtime.ServerCall, err error) { seen = err.Error() },
				})
				interceptors := []runtime.ServerInterceptor{note, around, tt.inner}
				if selected {
					interceptors = []runtime.ServerInterceptor{interceptor.Except(interceptor.SelectOptions{}, interceptors...)}
				}
				c := serve(t, tt.handler, interceptors...)
				_, err := c.call("/t.S/A", "x")
				<-returned
				wantStatus(t, err, tt.code, tt.details)
				wantStatus(t, outer, tt.code, tt.details)
				if seen != tt.seen {
					t.Errorf("seen %q, want %q", seen, tt.seen)
				}
			})
		}
	}
}
