package runtime

import (
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// refusal is the answer to a request that does not become an RPC.
type refusal struct {
	httpStatus int  // if not 0, what to answer in HTTP's terms: the client does not speak gRPC
	noContent  bool // in HTTP's terms, without a text
	outcome    outcome
}

// reason says for observers why the request is refused.
func (r *refusal) reason() RefusalReason {
	switch {
	case r.httpStatus != 0:
		return RefusedNotGRPC
	case r == metadataTooLarge:
		return RefusedMetadata
	case r == limitExceeded:
		return RefusedConcurrency
	case r.outcome.Code == codes.Unimplemented:
		return RefusedCompression
	}
	return RefusedMalformed
}

// refuse is a refusal in gRPC's terms: a response that is nothing but its status (Trailers-Only).
func refuse(code codes.Code, details string) *refusal {
	return &refusal{outcome: outcome{Code: code, Message: details}}
}

// refuseHTTP refuses a request that is not gRPC's. It counts as UNKNOWN, which is what a gRPC client makes of these HTTP
// statuses (gRPC http-grpc-status-mapping.md).
func refuseHTTP(status int, text string) *refusal {
	return &refusal{httpStatus: status, outcome: outcome{Code: codes.Unknown, Message: text}}
}

// inHTTP returns the header section of the answer in HTTP's terms, and its content.
func (r *refusal) inHTTP() (headers, content []byte) {
	headers = fields.AppendStatus(nil, r.httpStatus)
	if r.httpStatus == 405 {
		headers = fields.AppendField(headers, "allow", "POST") // RFC 9110, Section 15.5.6: "MUST generate"
	}
	if r.noContent {
		return headers, nil
	}
	return fields.AppendField(headers, "content-type", "text/plain; charset=utf-8"), []byte(r.outcome.Message + "\n")
}

// The refusals that need nothing of the request. Their texts are those of grpc-python.
var (
	methodNotFound   = refuse(codes.Unimplemented, "Method not found!")
	limitExceeded    = refuse(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
	lookupFailed     = refuse(codes.Unknown, "Error in service handler!")
	metadataTooLarge = refuse(codes.ResourceExhausted, "received initial metadata size exceeds limit")
)
