package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// statusOK is an error whose status is a success.
type statusOK struct{ error }

func (statusOK) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

// statusNone is an error that could have a status, and has none.
type statusNone struct{ error }

func (statusNone) GRPCStatus() *status.Status { return nil }

// statusAround is an error with a status of its own around another.
type statusAround struct{ error }

func (statusAround) GRPCStatus() *status.Status { return status.New(codes.Aborted, "around") }
func (s statusAround) Unwrap() error            { return s.error }

func TestPlain(t *testing.T) {
	plain := &carrier.Error{Status: status.New(codes.DeadlineExceeded, "late"), Cause: context.DeadlineExceeded, Plain: true}
	ended := &carrier.Error{Status: status.New(codes.Unavailable, "stopped"), Cause: context.Canceled}
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"None", nil, false},
		{"Bare", errors.New("x"), true},
		{"Status", status.Error(codes.Aborted, "x"), false},
		{"WrappedStatus", fmt.Errorf("y: %w", status.Error(codes.Aborted, "x")), false},
		{"StatusOK", statusOK{errors.New("x")}, true},
		{"StatusNone", statusNone{errors.New("x")}, true},
		{"WrappedStatusNone", fmt.Errorf("y: %w", statusNone{errors.New("x")}), true},
		{"Made", plain, true},
		{"WrappedMade", fmt.Errorf("y: %w", plain), true},
		{"StatusAroundMade", statusAround{plain}, false},
		{"Ended", ended, false},
		{"WrappedEnded", fmt.Errorf("y: %w", ended), false},
	} {
		if got := carrier.Plain(tt.err); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func TestError(t *testing.T) {
	err := error(&carrier.Error{Status: status.New(codes.DeadlineExceeded, "late"), Cause: context.DeadlineExceeded})
	if st, ok := status.FromError(err); !ok || st.Code() != codes.DeadlineExceeded || st.Message() != "late" || err.Error() != "late" {
		t.Errorf("the status is %v", st)
	}
	if !errors.Is(err, context.DeadlineExceeded) || carrier.Cause(err) != context.DeadlineExceeded {
		t.Error("the cause is lost")
	}
	if other := errors.New("x"); carrier.Cause(other) != other {
		t.Error("another error has become something else")
	}
}
