// Package interceptor has ready-made interceptors for servers of package runtime:
//
//	runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{
//		interceptor.Logging(interceptor.LoggingOptions{}),
//		interceptor.Deadline(interceptor.DeadlineOptions{Default: time.Minute}),
//		interceptor.Auth(interceptor.AuthOptions{Check: check}),
//	}}
//
// The first is outermost, so that Logging reports what the others answer. Each has a constructor and a struct of options
// whose zero value is right; each can be confined to some methods by [Select] and [Except]. They see RPCs of all four cardinalities
// alike, and RPCs for methods that do not exist.
//
// Validation of requests by protovalidate is in the module next door, runtime/interceptor/validate: it has requirements
// of its own. There is no retrying and no caching here.
package interceptor
