package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// TestOptions_Extreme sets every option that is a number or a time to the largest and the smallest value there is. None
// of them means that messages arrive empty, that connections end at once, or that something hangs.
func TestOptions_Extreme(t *testing.T) {
	var test func(name string, options *Options, v reflect.Value)
	test = func(name string, options *Options, v reflect.Value) {
		for i := range v.NumField() {
			field, name := v.Field(i), name+v.Type().Field(i).Name
			switch field.Kind() {
			case reflect.Struct:
				test(name+".", options, field)
			case reflect.Int, reflect.Int64:
				largest, smallest := int64(math.MaxInt), int64(math.MinInt)
				if field.Kind() == reflect.Int64 {
					largest, smallest = math.MaxInt64, math.MinInt64
				}
				for way, value := range map[string]int64{"Largest": largest, "Smallest": smallest} {
					field.SetInt(value)
					runInBubble(t, name+"/"+way, func(t *testing.T) { testExtremeOptions(t, *options) })
				}
				field.SetInt(0)
			}
		}
	}
	var options Options
	test("", &options, reflect.ValueOf(&options).Elem())
}

func testExtremeOptions(t *testing.T, options Options) {
	options.Compression = Gzip
	methods := handlers{}
	for _, c := range cardinalities {
		methods[c.name] = drainAndCount(c)
	}
	s := newTestServer(t, options, methods)
	for range 2 {
		client := s.dial()
		for _, c := range cardinalities {
			for _, request := range []string{"x", strings.Repeat("y", 100_000)} {
				compressed, _ := Gzip.deflate(nil, []byte(request))
				for _, content := range [][]byte{lpm(0, request), lpm(1, string(compressed))} {
					st := client.open("/t.S/"+c.name, "grpc-encoding", "gzip", "key", "value")
					st.sendPatiently(content)
					st.halfClose()
					st.result().want(codes.OK, "", request)
				}
			}
		}
		time.Sleep(time.Second)
		client.call("/t.S/UnaryUnary", "again").result().want(codes.OK, "", "again")
	}
	drained := make(chan struct{})
	go func() {
		s.drain()
		close(drained)
	}()
	<-s.Stop(s.options.Grace)
	<-drained
}

// TestNewServer_Panics is about mistakes that the server can neither serve with nor leave out.
func TestNewServer_Panics(t *testing.T) {
	pass := func(ctx context.Context, call *Call, next Next) error { return next(ctx, call) }
	for want, options := range map[string]Options{
		"Options.Interceptors[1] is nil":             intercept(pass, nil),
		"Options.Compression: gogreeter: 3 is not a": {Compression: 3},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "gogreeter: NewServer: "+want) {
					t.Errorf("panicked with %v, want %v", got, want)
				}
			}()
			NewServer(options)
		}()
	}
}

// TestServer_MethodOptions has options for methods that are not there when the server starts.
func TestServer_MethodOptions(t *testing.T) {
	for _, generic := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			log := &testLog{}
			s := NewServer(Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Methods: map[string]MethodOptions{
				"/t.S/M": {Executor: Inline}, "/t.S/Misspelled": {}, "t.S/M": {},
			}})
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo()}}))
			if generic {
				check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return nil })))
			}
			check(t, s.Start())
			<-s.Stop(0)
			lines := log.lines("Options.Methods names a method that no service has")
			if generic && len(lines) != 0 || !generic && (len(lines) != 2 || !strings.Contains(lines[0], "method=/t.S/Misspelled")) {
				t.Errorf("generic handler %v: logged %q", generic, lines)
			}
		})
	}
}
