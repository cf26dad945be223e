package runtime

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// ServerStats are the numbers of a server. Those of RPCs and octets grow from its start; the others are of the moment.
type ServerStats struct {
	// Active is the number of RPCs that are not finished, including those that wait and those whose client has given up
	// and whose handler has not returned.
	Active int

	// Queued is the number of RPCs that wait for a worker, or for room to begin in their connection's account.
	Queued int

	// Methods has the numbers of methods by their full path. RPCs for which a generic handler supplied the method handler count
	// under OtherMethods, whatever their path: paths that clients choose must not occupy memory. A method of which no RPC has
	// ended is not there.
	Methods map[string]MethodStats

	// Rejected counts the requests that did not become an RPC with a handler, by code: UNIMPLEMENTED for methods that
	// are not known, RESOURCE_EXHAUSTED for those beyond a limit, INTERNAL for malformed ones, UNKNOWN for those that are
	// not gRPC's and were answered with the HTTP status 405 or 415.
	Rejected map[codes.Code]uint64

	// Connections is the number of connections that are open, Accepted that of all there were.
	Connections int
	Accepted    uint64

	// HeldRequestBytes and HeldResponseBytes are what clients make the server hold: see ServerOptions.MaxConnectionBytes. Both are
	// 0 when there is no RPC.
	HeldRequestBytes, HeldResponseBytes int64

	// ReceivedBytes and SentBytes count octets of HTTP/2, without what TLS adds.
	ReceivedBytes, SentBytes uint64
}

// MethodStats are the numbers of a method.
type MethodStats struct {
	// Handled counts the RPCs that have ended, by code.
	Handled map[codes.Code]uint64
}

// OtherMethods is what stands for the path of methods of generic handlers in ServerStats.Methods.
const OtherMethods = "other"

// handled counts the RPCs that have ended by path of their method. It remembers a method whose service is removed.
type handled struct {
	mu     locks.Mutex[locks.Alone]
	byPath map[string]*counters // guarded by mu
}

// of returns the counters of a method.
func (h *handled) of(path string) *counters {
	h.mu.Lock()
	defer h.mu.Unlock()
	counted := h.byPath[path]
	if counted == nil {
		counted = &counters{}
		if h.byPath == nil {
			h.byPath = make(map[string]*counters)
		}
		h.byPath[path] = counted
	}
	return counted
}

// read returns what has been counted.
func (h *handled) read() map[string]MethodStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]MethodStats)
	for path, counted := range h.byPath {
		if byCode := counted.read(); len(byCode) > 0 {
			all[path] = MethodStats{Handled: byCode}
		}
	}
	return all
}

// counters counts RPCs by the code they ended with.
type counters struct {
	byCode [codes.Unauthenticated + 1]atomic.Uint64
}

func (c *counters) add(code codes.Code) {
	if int(code) >= len(c.byCode) {
		code = codes.Unknown
	}
	c.byCode[code].Add(1)
}

// read returns what has been counted.
func (c *counters) read() map[codes.Code]uint64 {
	counted := make(map[codes.Code]uint64)
	for code := range c.byCode {
		if n := c.byCode[code].Load(); n > 0 {
			counted[codes.Code(code)] = n
		}
	}
	return counted
}
