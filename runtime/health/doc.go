// Package health tells clients, load balancers and orchestrators whether a server, and each of its services, is ready. It is
// the service grpc.health.v1.Health, and the counterpart of grpcio-health-checking.
//
//	servicer := health.NewServicer()
//	if err := health.AddToServer(servicer, server); err != nil {
//		return err
//	}
//	servicer.Set("helloworld.Greeter", health.Serving)
//
// When the server begins to stop ([runtime.Server.Draining]), all its services are NOT_SERVING; nothing has to be called for
// it. [runtime.ServerOptions].DrainDelay gives the watching clients the time to see it.
//
// Clients may watch as many services as [runtime.ServerOptions].MaxConcurrentStreams lets them have RPCs. A watch holds a
// goroutine and the name of its service, of 256 octets at most, whatever else its request had.
//
// The messages of the service are not those of grpc-go's package grpc_health_v1, with which they share nothing but the
// octets. A process may link both.
package health
