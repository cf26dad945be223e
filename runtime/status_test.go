package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

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
		if got := outcomeOf(tt.err); got.Code != tt.code || got.Message != tt.details || got.Details != nil {
			t.Errorf("%s: got %v %q %q, want %v %q", tt.name, got.Code, got.Message, got.Details, tt.code, tt.details)
		}
	}
}

// TestRPC_LongDetails checks that details of any length arrive.
func TestRPC_LongDetails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		details := strings.Repeat("é%", 20_000)
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
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
