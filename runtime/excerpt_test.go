package runtime

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// TestEchoes_AreCut has values of 4 KiB refused, in each field that an answer repeats. As an indexed field each costs its
// client a single octet.
func TestEchoes_AreCut(t *testing.T) {
	long := strings.Repeat("é", 2048)
	tests := []struct {
		name   string
		path   string
		fields []string
		send   []string
	}{
		{"Timeout", "/t.S/M", []string{"grpc-timeout", long}, nil},
		{"Encoding", "/t.S/M", []string{"grpc-encoding", long}, nil},
		{"ContentType", "/t.S/M", []string{"content-type", "text/" + long}, nil},
		{"HTTPMethod", "/t.S/M", []string{":method", long}, nil},
		{"BinaryKey", "/t.S/M", []string{strings.Repeat("k", 4096) + "-bin", "!"}, nil},
		{"Path", "/g/" + long, nil, []string{"x", "y"}},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return echo() })))
			st := s.dial().open(tt.path, tt.fields...)
			st.send(tt.send...)
			st.halfClose()
			r := st.result()
			answer := string(r.rest)
			if answer == "" {
				var code codes.Code
				code, answer = r.status()
				if code == codes.OK {
					t.Fatal("the request was served")
				}
			}
			if !strings.Contains(answer, "...") || len(answer) > 4*excerpt.Max+64 {
				t.Errorf("an answer of %d octets: %.100s", len(answer), answer)
			}
		})
	}
}
