// Package validate has an interceptor that checks messages by the rules in their .proto files (protovalidate):
//
//	runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{validate.Requests(validate.Options{})}}
//
// It is a module of its own, so that servers which do not validate do not depend on what evaluates the rules.
package validate

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime"
)

// Options configures [Requests].
type Options struct {
	// Validator checks the messages. Default protovalidate.GlobalValidator.
	Validator protovalidate.Validator

	// Responses has responses checked too. One that is not valid is the server's fault, and ends the RPC with INTERNAL.
	Responses bool
}

// Requests checks each request, those of streams too, before the handler sees it. One that is not valid ends the RPC with
// INVALID_ARGUMENT and a text that lists the violations. Two details say the same: a google.rpc.BadRequest, which any client
// can read, and a buf.validate.Violations. If the rules themselves are wrong, the RPC ends with INTERNAL. Messages that are
// not protobuf's pass.
//
// No more than 16 violations are listed, and only the first of a message larger than 16 KiB. Two octets of a message can
// make a violation, which takes half a KiB.
func Requests(options Options) runtime.ServerInterceptor {
	if options.Validator == nil {
		options.Validator = protovalidate.GlobalValidator
	}
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		call.OnRequest(func(_ context.Context, request any) error { return options.checkRequest(request) })
		if options.Responses {
			call.OnResponse(func(_ context.Context, response any) error { return options.checkResponse(response) })
		}
		return next(ctx, call)
	}
}

func (o *Options) checkRequest(request any) error {
	err := o.validate(request)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return status.Error(codes.Internal, "the request cannot be validated: "+err.Error())
	}
	text := ""
	if more := len(invalid.Violations) - maxViolations; more > 0 {
		invalid = &protovalidate.ValidationError{Violations: invalid.Violations[:maxViolations]}
		text = fmt.Sprintf("\n - and %d more", more)
	}
	st := status.New(codes.InvalidArgument, invalid.Error()+text)
	if detailed, err := st.WithDetails(badRequest(invalid), invalid.ToProto()); err == nil {
		st = detailed
	}
	return st.Err()
}

func (o *Options) checkResponse(response any) error {
	if err := o.validate(response); err != nil {
		return status.Error(codes.Internal, "the response is not valid: "+err.Error())
	}
	return nil
}

// What is told of a message that is not valid: so many violations, if the message is no larger than so many octets.
const (
	maxViolations = 16
	maxListed     = 16 << 10
)

// validate stops at the first violation, and looks for the others if the message cannot have very many.
func (o *Options) validate(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	err := o.Validator.Validate(m, protovalidate.WithFailFast())
	if err == nil || proto.Size(m) > maxListed {
		return err
	}
	if all := o.Validator.Validate(m); all != nil {
		return all
	}
	return err // rules may ask for the time
}

// badRequest says in the words of google.rpc what is wrong with a request.
func badRequest(invalid *protovalidate.ValidationError) *errdetails.BadRequest {
	bad := &errdetails.BadRequest{}
	for _, violation := range invalid.Violations {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(violation.Proto.GetField()),
			Description: violation.Proto.GetMessage(),
			Reason:      violation.Proto.GetRuleId(),
		})
	}
	return bad
}
