package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statusError is an error with a status of its own making.
type statusError struct{ st *status.Status }

func (e *statusError) Error() string              { return "text" }
func (e *statusError) GRPCStatus() *status.Status { return e.st }

func TestOutcomeOf(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		code    codes.Code
		details string
	}{
		{"Plain", errors.New("plain"), codes.Unknown, "plain"},
		{"Status", status.Error(codes.DataLoss, "lost"), codes.DataLoss, "lost"},
		{"Wrapped", fmt.Errorf("w: %w", status.Error(codes.DataLoss, "lost")), codes.DataLoss, "w: rpc error: code = DataLoss desc = lost"},
		{"Joined", errors.Join(errors.New("a"), status.Error(codes.DataLoss, "lost")), codes.DataLoss, "a\nrpc error: code = DataLoss desc = lost"},
		{"Carrier", &statusError{status.New(codes.Aborted, "own")}, codes.Aborted, "own"},
		{"CarrierOK", &statusError{status.New(codes.OK, "fine")}, codes.Unknown, "text"},
		{"CarrierNil", &statusError{nil}, codes.Unknown, "text"},
		{"WrappedCarrierOK", fmt.Errorf("w: %w", &statusError{status.New(codes.OK, "")}), codes.Unknown, "w: text"},
		{"UnknownCode", status.Error(77, "odd"), codes.Unknown, "odd"},
		{"Canceled", context.Canceled, codes.Canceled, "context canceled"},
		{"WrappedDeadline", fmt.Errorf("w: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "w: context deadline exceeded"},
		{"StatusBeforeContext", errors.Join(context.Canceled, status.Error(codes.Aborted, "a")), codes.Aborted, "context canceled\nrpc error: code = Aborted desc = a"},
	}
	for _, tt := range tests {
		if got := outcomeOf(tt.err); got.code != tt.code || got.details != tt.details || got.rich != nil {
			t.Errorf("%s: got %v %q %q, want %v %q", tt.name, got.code, got.details, got.rich, tt.code, tt.details)
		}
	}
}

func TestPercentEncode(t *testing.T) {
	tests := []struct{ message, want string }{
		{"", ""},
		{"plain text ~!", "plain text ~!"},
		{"100%", "100%25"},
		{"é 100% \n~\x7f", "%C3%A9 100%25 %0A~%7F"}, // as C-core and grpc-go
		{"\x00\x1f\x20\x7e", "%00%1F ~"},
		{"日本", "%E6%97%A5%E6%9C%AC"},
		{"\xff", "%EF%BF%BD"},
		{"a\xc3", "a%EF%BF%BD"},
		{"\xed\xa0\x80", "%EF%BF%BD%EF%BF%BD%EF%BF%BD"}, // a surrogate
		{"\ufffd", "%EF%BF%BD"},
	}
	for _, tt := range tests {
		if got := percentEncode(tt.message); got != tt.want {
			t.Errorf("percentEncode(%q) = %q, want %q", tt.message, got, tt.want)
		}
	}
}

func FuzzPercentEncode(f *testing.F) {
	for _, message := range []string{"", "plain", "%", "%25", "é\x00", "\xff\xc3", "日本\n"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		want := message
		if !utf8.ValidString(message) {
			want = string([]rune(message)) // each octet that is not UTF-8 becomes U+FFFD
		}
		if got := percentDecode(t, percentEncode(message)); got != want {
			t.Errorf("%q came back as %q, want %q", message, got, want)
		}
	})
}

// TestRPC_LongDetails checks that details of any length arrive.
func TestRPC_LongDetails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		details := strings.Repeat("é%", 20_000)
		s := newTestServer(t, Options{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			return nil, status.Error(codes.Aborted, details)
		})})
		s.dial().call("/t.S/M", "").result().want(codes.Aborted, details)
	})
}

// wantStatus checks the status that an error carries.
func wantStatus(t testing.TB, err error, code codes.Code, details string) {
	t.Helper()
	if st, ok := status.FromError(err); err == nil || !ok || st.Code() != code || st.Message() != details {
		t.Errorf("got %v, want %v %q", err, code, details)
	}
}
