package runtime

import (
	"maps"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// Stats are the numbers of a server. Those of RPCs and octets grow from its start; the others are of the moment.
type Stats struct {
	// Active is the number of RPCs that are not finished, waiting ones and those included whose client has given up
	// and whose handler has not returned.
	Active int

	// Queued is the number of RPCs that wait for a worker, or for room to begin in their connection's account.
	Queued int

	// Handled counts the RPCs that have ended, by full path of their method and by code. Those for which a generic
	// handler supplied the method handler count under the path "other", whatever their path: what clients choose is not
	// to occupy memory.
	Handled map[string]map[codes.Code]uint64

	// Rejected counts the requests that did not become an RPC with a handler, by code: UNIMPLEMENTED for methods that
	// are not known, RESOURCE_EXHAUSTED for those beyond a limit, INTERNAL for malformed ones, UNKNOWN for those that are
	// not gRPC's and were answered with the HTTP status 405 or 415.
	Rejected map[codes.Code]uint64

	// Connections is the number of connections that are open, Accepted that of all there were.
	Connections int
	Accepted    uint64

	// HeldRequestBytes and HeldResponseBytes are what clients make the server hold: see Options.MaxConnectionBytes. Both are
	// 0 when there is no RPC.
	HeldRequestBytes, HeldResponseBytes int64

	// ReceivedBytes and SentBytes count octets on the network, after TLS.
	ReceivedBytes, SentBytes uint64
}

// otherMethods is the path under which the methods of generic handlers are counted.
const otherMethods = "other"

// Stats returns the server's numbers. It may be called while the server serves; the numbers are then those of moments
// close together.
func (s *Server) Stats() Stats {
	stats := Stats{
		Active:   int(s.active.Load()),
		Handled:  make(map[string]map[codes.Code]uint64),
		Rejected: s.rejected.read(),
		Accepted: s.accepted.Load(),
	}
	s.mu.Lock()
	connections := slices.Collect(maps.Keys(s.connections))
	counted := maps.Clone(s.counted)
	stats.ReceivedBytes, stats.SentBytes = s.received, s.sent
	s.mu.Unlock()
	stats.Queued = s.queued()
	stats.Connections = len(connections)
	for _, c := range connections {
		stats.HeldRequestBytes += c.account.Used(budget.Requests)
		stats.HeldResponseBytes += c.account.Used(budget.Responses)
		stats.Queued += c.queue.Waiting() + c.account.Waiting(budget.ForBeginning)
		received, sent := c.h2.Octets()
		stats.ReceivedBytes += received
		stats.SentBytes += sent
	}
	for path, counters := range counted {
		if byCode := counters.read(); len(byCode) > 0 {
			stats.Handled[path] = byCode
		}
	}
	return stats
}

// queued returns how many RPCs wait for one of a bounded number of handlers to end: Options.Workers, or an Executor's.
func (s *Server) queued() (n int) {
	if s.bound != nil {
		n = s.bound.Waiting()
	}
	for _, bound := range s.executors.Range {
		n += bound.(*work.Bound).Waiting()
	}
	return n
}

// ServicesRevision returns a number that is another one whenever AddService or RemoveService has changed what Services
// returns. It is for those who keep what they have made of that: Services copies all of it.
func (s *Server) ServicesRevision() uint64 { return s.table.Load().revision }

// Services returns the services of the dispatch dictionary, by name. The result is the caller's own.
func (s *Server) Services() map[string]Service {
	services := maps.Clone(s.table.Load().services)
	for name, service := range services {
		service.Methods = maps.Clone(service.Methods)
		services[name] = service
	}
	return services
}
