// Package validate has an interceptor that checks messages by the rules in their .proto files (protovalidate):
//
//	runtime.Options{Interceptors: []runtime.Interceptor{validate.Requests(validate.Options{})}}
//
// It is a module of its own, so that servers which do not validate do not depend on what evaluates the rules.
package validate

import (
	"context"
	"errors"

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

// Requests checks each request, those of streams too, before the handler sees it. One that is not valid ends the RPC
// with INVALID_ARGUMENT, a text that lists the violations, and two details that say the same: a google.rpc.BadRequest,
// which any client can read, and a buf.validate.Violations. If the rules themselves are wrong, the RPC ends with
// INTERNAL. Messages that are not protobuf's pass.
func Requests(options Options) runtime.Interceptor {
	if options.Validator == nil {
		options.Validator = protovalidate.GlobalValidator
	}
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
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
	st := status.New(codes.InvalidArgument, err.Error())
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

func (o *Options) validate(message any) error {
	if m, ok := message.(proto.Message); ok {
		return o.Validator.Validate(m)
	}
	return nil
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
