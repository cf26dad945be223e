// Package bench is the root of the benchmarks against other gRPC servers; the programs are in the directories below.
//
//   - compare: all servers in all scenarios, with tables and plots (make bench), or some of them (make bench-quick)
//   - gogreeter_server, grpc_go_server, connect_go_server, grpc_cpp_server, python_server: the servers, which do the same work
//   - internal/work: that work
//   - internal/report: how a server tells its allocations
//   - internal/process: a server under measurement, and what it takes: CPU time, system calls, memory
//   - internal/h2load: load from h2load, and the check that every RPC of it succeeded
//   - internal/frameload: load that h2load cannot make: streams, and slow RPCs beside fast ones
//   - internal/openload, open_load: load at a fixed rate, whose latencies count from when an RPC was due
//   - codegen: the generator against protoc-gen-go-grpc
//
// Figures are ratios of servers that were measured side by side, in turns, in one run: machines are shared and differ,
// and a figure by itself says little. It is a module of its own so that the peers stay out of the module graph of
// gogreeter's users.
package bench
