//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package handover

import (
	"context"
	"errors"
	"net"
)

// Listen needs SO_REUSEPORT as Linux and the BSDs have it.
func Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.New("handover: this system does not let several sockets listen at one address")
}
