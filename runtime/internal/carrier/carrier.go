// Package carrier has what package runtime tells its companions and nobody else: the error from which interceptors learn how
// an RPC ends, whether anybody looks at responses, and what becomes of a response or an error.
package carrier

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is an error together with the status that the client gets for it.
type Error struct {
	Status *status.Status
	Cause  error // the error that it stands for; it is not nil

	// Plain says that the status was made of Cause, which carries none.
	Plain bool
}

// Error returns the status's message, without the words that package status puts around it.
func (e *Error) Error() string { return e.Status.Message() }

// GRPCStatus is what package status looks for.
func (e *Error) GRPCStatus() *status.Status { return e.Status }

// Unwrap returns Cause.
func (e *Error) Unwrap() error { return e.Cause }

// Plain reports whether an error carries no status but one that was made for it. An error whose status is OK, or nil, carries
// none: it tells of a failure.
func Plain(err error) bool {
	var of interface{ GRPCStatus() *status.Status }
	if err == nil || !errors.As(err, &of) {
		return err != nil
	}
	if e, ok := of.(*Error); ok {
		return e.Plain
	}
	return of.GRPCStatus().Code() == codes.OK // which that of nil is; status.Code says UNKNOWN of it
}

// Cause returns the error that err stands for: err itself unless it is an [Error].
func Cause(err error) error {
	if e, ok := err.(*Error); ok {
		return e.Cause
	}
	return err
}
