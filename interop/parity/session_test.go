package parity

import (
	"crypto/tls"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// TestSession_IsResumed is the part of grpc-python's _auth_context_test about sessions: of two connections of a client that
// keeps its sessions, the handler can tell that the second resumes the first's. grpc-go's client plays, against both servers.
func TestSession_IsResumed(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		if s.client.name() != "grpc-go" {
			t.Skip("played once for each server")
		}
		to := s.server.start(t, "mtls").target()
		config := to.tls(t)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for _, want := range []string{`["false"]`, `["true"]`} {
			channel, err := grpc.NewClient(to.Address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
				grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
			if err != nil {
				t.Fatal(err)
			}
			steps := string(toJSON(script{auth("ssl_session_reused")}))
			ctx := metadata.AppendToOutgoingContext(t.Context(), "script-bin", steps, "run", t.Name())
			var have []byte
			if err := channel.Invoke(ctx, "/parity.P/uu", []byte("q"), &have); err != nil {
				t.Error(err)
			}
			if string(have) != want {
				t.Errorf("ssl_session_reused is %s, want %s", have, want)
			}
			channel.Close()
		}
	})
}
