package authcontext_test

import (
	"context"
	"crypto/tls"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/authcontext"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
)

// A server that only the billing service may call. The handshake verifies that a certificate is genuine; the check looks
// at whose it is.
func Example() {
	check := func(ctx context.Context, _ *runtime.ServerCall) (context.Context, error) {
		if !authcontext.HasPeerSPIFFEID(ctx, "spiffe://example.org/billing") {
			return nil, status.Errorf(codes.PermissionDenied, "%q may not call", authcontext.PeerIdentities(ctx))
		}
		return ctx, nil
	}
	server := runtime.NewServer(runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{
		interceptor.Auth(interceptor.AuthOptions{Check: check}),
	}})
	config := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert} // with Certificates and ClientCAs
	if _, err := server.AddSecurePort("[::]:50051", config); err != nil {
		return // there are no Certificates
	}
}
