package authcontext_test

import (
	"context"
	"net"
	"reflect"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/authcontext"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

func TestPeerName(t *testing.T) {
	unix := func(name string) net.Addr { return &net.UnixAddr{Net: "unix", Name: name} }
	for _, tt := range []struct {
		addr, local net.Addr
		want        string
	}{
		{&net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 5}, nil, "ipv4:1.2.3.4:5"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:1.2.3.4"), Port: 5}, nil, "ipv4:1.2.3.4:5"},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 5}, nil, "ipv6:[::1]:5"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 5, Zone: "eth0"}, nil, "ipv6:[fe80::1%eth0]:5"},
		{unix("/run/client"), unix("/run/server"), "unix:/run/client"},
		{unix(""), unix("/run/server"), "unix:/run/server"},
		{unix("@"), unix("/run/server"), "unix:/run/server"},
		{unix("@"), unix("@server"), "unix-abstract:server"},
		{unix(""), nil, "unix:"},
		{runtimetest.Addr{}, nil, "memory:memory"},
		{(*net.TCPAddr)(nil), nil, ""},
		{struct{ net.Addr }{}, nil, "unknown"}, // its methods panic
	} {
		ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Peer: &peer.Peer{Addr: tt.addr, LocalAddr: tt.local}})
		if got := authcontext.PeerName(ctx); got != tt.want {
			t.Errorf("%v at %v: got %q, want %q", tt.addr, tt.local, got, tt.want)
		}
		recorder.End()
	}
}

// otherAuth is what credentials of another make establish.
type otherAuth struct{ credentials.CommonAuthInfo }

func (otherAuth) AuthType() string { return "local" }

func TestOf_OtherCredentials(t *testing.T) {
	auth := otherAuth{credentials.CommonAuthInfo{SecurityLevel: credentials.IntegrityOnly}}
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Peer: &peer.Peer{AuthInfo: auth}})
	defer recorder.End()
	want := map[string][]string{"transport_security_type": {"local"}, "security_level": {"TSI_INTEGRITY_ONLY"}}
	if got := authcontext.Of(ctx); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if got := authcontext.PeerName(ctx); got != "" {
		t.Errorf("a peer without an address is called %q", got)
	}
}

func TestFacts_OfNoRPC(t *testing.T) {
	ctx := context.Background()
	if authcontext.Of(ctx) != nil || authcontext.PeerName(ctx) != "" || authcontext.PeerIdentities(ctx) != nil || authcontext.PeerIdentityKey(ctx) != "" {
		t.Error("a context that is not an RPC's has a peer")
	}
}
