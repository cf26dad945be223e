// Package authcontext says who the client of an RPC is, in grpc-python's words: its peer's name, its auth context, and
// the identities in its certificate.
//
// All of it is read from what [runtime.Peer] returns; this package only spells it. It holds no policy: a check of who
// may do what is interceptor.Auth. Such a check asks for names of one kind, with [HasPeerSPIFFEID] and the like; a DNS name
// may be spelled as a URI is, and the lists of names do not tell them apart.
package authcontext
