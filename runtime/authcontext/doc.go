// Package authcontext identifies the client of an RPC, in grpc-python's words: its peer's name, its auth context, and the
// identities in its certificate.
//
// All of it is read from what [runtime.Peer] returns; this package only spells it. It holds no policy: interceptor.Auth is
// for checks of what a client may do. Such a check asks for names of one kind, with [HasPeerSPIFFEID] and the like. A DNS
// name may be spelled as a URI is, and the lists of names do not tell them apart.
package authcontext
