// Package bench is the root of the benchmarks against other gRPC servers; the programs are in the directories below.
//
//   - quick: server CPU per small unary RPC against grpc-go, a matter of minutes (make bench-quick)
//   - grpc_go_server: the peer that it is compared with
//   - internal/process: a server under measurement, and the CPU time it takes
//   - internal/h2load: the load, and the check that every RPC of it succeeded
//
// Figures are ratios of servers that were measured side by side, in turns, in one run: machines are shared and differ,
// and a figure by itself says little. It is a module of its own so that the peers stay out of the module graph of
// gogreeter's users.
package bench
