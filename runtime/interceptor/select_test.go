package interceptor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

func pass(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
	return next(ctx, call)
}

// constructor is Select or Except.
type constructor = func(interceptor.SelectOptions, ...runtime.ServerInterceptor) runtime.ServerInterceptor

func TestSelect(t *testing.T) {
	deny := func(context.Context, *runtime.ServerCall, runtime.ServerNext) error {
		return status.Error(codes.Aborted, "selected")
	}
	all := []string{"/t.S/A", "/t.S/B", "/t.T/A", "/t.S/Nope"}
	tests := []struct {
		name    string
		make    constructor
		options interceptor.SelectOptions
		want    []string
	}{
		{"None", interceptor.Select, interceptor.SelectOptions{}, nil},
		{"All", interceptor.Except, interceptor.SelectOptions{}, all},
		{"Method", interceptor.Select, interceptor.SelectOptions{Methods: []string{"/t.S/A"}}, []string{"/t.S/A"}},
		{"Service", interceptor.Select, interceptor.SelectOptions{Methods: []string{"/t.S/*"}}, []string{"/t.S/A", "/t.S/B", "/t.S/Nope"}},
		{"Several", interceptor.Select, interceptor.SelectOptions{Methods: []string{"/t.S/B", "/t.T/*"}}, []string{"/t.S/B", "/t.T/A"}},
		{"Except", interceptor.Except, interceptor.SelectOptions{Methods: []string{"/t.S/*"}}, []string{"/t.T/A"}},
		{"ExceptMatch", interceptor.Except, interceptor.SelectOptions{Match: func(c *runtime.ServerCall) bool { return c.Method() != "/t.S/B" }}, []string{"/t.S/B"}},
		{"Match", interceptor.Select, interceptor.SelectOptions{Methods: []string{"/t.S/A"}, Match: func(c *runtime.ServerCall) bool { return c.Handler() == nil }}, []string{"/t.S/A", "/t.S/Nope"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, echo, tt.make(tt.options, pass, deny))
			want := map[string]bool{}
			for _, method := range tt.want {
				want[method] = true
			}
			for _, method := range all {
				_, err := c.call(method, "x")
				if got := status.Code(err) == codes.Aborted; got != want[method] {
					t.Errorf("%s: got %v", method, err)
				}
			}
		})
	}
}

// TestSelect_RefusesPatterns has patterns that would select nothing, so that an Auth for them would let everybody pass.
func TestSelect_RefusesPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		refused bool
	}{
		{"/grpc.health.v1.Health/*", false},
		{"/grpc.health.v1.Health/Check", false},
		{"/S/m", false},
		{"grpc.health.v1.Health/*", true},
		{"grpc.health.v1.Health/Check", true},
		{"/grpc.health.v1.Health", true},
		{"/grpc.health.v1.Health/", true},
		{"/grpc.health.v1.Health/Che*", true},
		{"/grpc.health.v1.Health/**", true},
		{"/grpc.health.v1.Health/Check/", true},
		{"/grpc.health.v1.Health/*/*", true},
		{"/grpc.health.v1.Health /Check", true},
		{"/grpc.health.v1.Health/Check\n", true},
		{" /grpc.health.v1.Health/Check", true},
		{"//Check", true},
		{"//*", true},
		{"/grpc.health.*/*", true},
		{"/*/Check", true},
		{"/*", true},
		{"*", true},
		{"/", true},
		{"", true},
	} {
		for name, constructor := range map[string]constructor{"Select": interceptor.Select, "Except": interceptor.Except} {
			func() {
				defer func() {
					want := "<nil>"
					if tt.refused {
						want = fmt.Sprintf(`gogreeter: %s: SelectOptions.Methods[1] is %q; `+
							`a method is "/package.Service/Method", and all methods of a service are "/package.Service/*"`, name, tt.pattern)
					}
					if got := fmt.Sprint(recover()); got != want {
						t.Errorf("%q: panicked with %v, want %v", tt.pattern, got, want)
					}
				}()
				constructor(interceptor.SelectOptions{Methods: []string{"/t.S/A", tt.pattern}}, pass)
			}()
		}
	}
}

// TestSelect_OptionsAreTheCallersAgain changes the options that an interceptor was made with.
func TestSelect_OptionsAreTheCallersAgain(t *testing.T) {
	methods := []string{"/t.S/Misspelt"}
	selected := interceptor.Select(interceptor.SelectOptions{Methods: methods}, pass)
	methods[0] = "/t.S/A"
	if got := reported(t, false, selected); !slices.Equal(got, []string{"/t.S/Misspelt"}) {
		t.Errorf("reported are %q", got)
	}
}

// TestSelect_ReportsWhatIsMissing starts servers whose interceptors name methods that no service has.
func TestSelect_ReportsWhatIsMissing(t *testing.T) {
	of := func(methods ...string) interceptor.SelectOptions { return interceptor.SelectOptions{Methods: methods} }
	wrapped := func(inner runtime.ServerInterceptor) runtime.ServerInterceptor {
		return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
			if call == nil {
				t.Error("an interceptor of the application's was called without an RPC")
			}
			return inner(ctx, call, next)
		}
	}
	for _, tt := range []struct {
		name        string
		interceptor runtime.ServerInterceptor
		want        []string
	}{
		{"Nothing", interceptor.Select(of(), pass), nil},
		{"AllAreThere", interceptor.Select(of("/t.S/A", "/t.S/Stream", "/t.T/*"), pass), nil},
		{"Method", interceptor.Select(of("/t.S/A", "/t.S/a", "/t.T/B"), pass), []string{"/t.S/a", "/t.T/B"}},
		{"Service", interceptor.Select(of("/t.s/*", "/t/*", "/t.SS/*"), pass), []string{"/t.SS/*", "/t.s/*", "/t/*"}},
		{"ServiceWithoutMethods", interceptor.Select(of("/t.Empty/*"), pass), []string{"/t.Empty/*"}},
		{"Except", interceptor.Except(of("/t.U/*"), pass), []string{"/t.U/*"}},
		{"Twice", runtime.Chain(interceptor.Select(of("/t.U/*"), pass), interceptor.Select(of("/t.U/*"), pass)), []string{"/t.U/*"}},
		{
			"Nested", interceptor.Select(of("/t.U/*"), pass, interceptor.Select(of("/t.V/*"), runtime.Chain(pass, interceptor.Select(of("/t.W/*"))))),
			[]string{"/t.U/*", "/t.V/*", "/t.W/*"},
		},
		{"InTheApplicationsOwn", wrapped(interceptor.Select(of("/t.U/*"), pass)), nil}, // which cannot be asked
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reported(t, false, pass, wrapped(pass), tt.interceptor); !slices.Equal(got, tt.want) {
				t.Errorf("reported are %q, want %q", got, tt.want)
			}
			if got := reported(t, true, tt.interceptor); got != nil {
				t.Errorf("reported are %q, although a generic handler may have them", got)
			}
		})
	}
}

type genericHandler struct{}

func (genericHandler) Service(runtime.HandlerCallDetails) *runtime.MethodHandler { return nil }

// reported returns the methods that a server reports to the log, when it starts, as named and not there.
func reported(t *testing.T, generic bool, interceptors ...runtime.ServerInterceptor) (methods []string) {
	t.Helper()
	log := &logBuffer{}
	handler := runtime.UnaryUnary(func(context.Context, *text) (*text, error) { return nil, nil })
	server, err := runtimetest.NewServer(runtime.ServerOptions{Interceptors: interceptors, Logger: log.logger()}, func(r runtime.Registrar) error {
		if generic {
			if err := r.(*runtime.Server).AddGenericHandler(genericHandler{}); err != nil {
				return err
			}
		}
		for service, methods := range map[string]map[string]*runtime.MethodHandler{
			"t.S": {"A": handler, "Stream": handler}, "t.T": {"A": handler, "B": nil}, "t.Empty": {"A": nil},
		} {
			if err := r.AddService(runtime.Service{Name: service, Methods: methods}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	for _, line := range log.lines() {
		if _, method, ok := strings.Cut(line, `names a method that no service has" method=`); ok {
			methods = append(methods, method)
		}
	}
	return methods
}
