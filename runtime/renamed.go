package runtime

// The names that these types had before there was a client. They are here for one release; go fix replaces them.

// Call is the former name of [ServerCall].
//
// Deprecated: use ServerCall.
//
//go:fix inline
type Call = ServerCall

// Interceptor is the former name of [ServerInterceptor].
//
// Deprecated: use ServerInterceptor.
//
//go:fix inline
type Interceptor = ServerInterceptor

// Next is the former name of [ServerNext].
//
// Deprecated: use ServerNext.
//
//go:fix inline
type Next = ServerNext

// Options is the former name of [ServerOptions].
//
// Deprecated: use ServerOptions.
//
//go:fix inline
type Options = ServerOptions

// Stats is the former name of [ServerStats].
//
// Deprecated: use ServerStats.
//
//go:fix inline
type Stats = ServerStats
