// Package reflection tells clients what services a server has, and how they are described, so that tools such as grpcurl
// need no .proto files. It is the services grpc.reflection.v1.ServerReflection and grpc.reflection.v1alpha.ServerReflection,
// and the counterpart of grpcio-reflection.
//
//	if err := reflection.AddToServer(server); err != nil {
//		return err
//	}
//
// No names have to be listed: what the server's dispatch dictionary has when a client asks is what the client is told. A
// service is described by its Descriptor. What that does not lead to is looked up among the files and extensions that are
// linked into the process.
//
// The messages of the services are not those of grpc-go's packages grpc_reflection_v1 and grpc_reflection_v1alpha, with
// which they share nothing but the octets. A process may link both.
package reflection
