package carrier

import "context"

// Unobserved is the key under which the context of an RPC tells, as a bool, that no interceptor can look at its responses:
// then only their octets count. What is no such context tells nothing.
type Unobserved struct{}

// IsUnobserved reports whether nobody but the client gets to see the responses of the RPC that ctx stands for.
func IsUnobserved(ctx context.Context) bool {
	unobserved, _ := ctx.Value(Unobserved{}).(bool)
	return unobserved
}
