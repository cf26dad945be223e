package runtime

import (
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
