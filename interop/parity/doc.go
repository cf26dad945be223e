// Package parity proves that a gogreeter server answers as grpc-python's server does, where a client can see it. It holds
// tests only.
//
// A row says what a handler does, what a client does, and what the client is to see. Each row is played four times: by
// grpc-go's client and by grpc-python's, against a gogreeter server in this process and against grpc-python's in one of
// its own. The answers must be equal, unless the row says why they are not: a decision of ours, or a defect of theirs.
//
// What a handler does is a script of a few steps (script_test.go), which travels in the metadata of the RPC.
// servicer_test.go does what it says in Go, testdata/server.py in Python: a Go panic stands for a Python exception, and a
// returned status for context.abort. Play (play_test.go) is what a row uses when one RPC does not tell enough.
//
// Rows that need no server are played once more by calling the servicer's methods as tests do (runtimetest_test.go): package
// runtimetest has to give the same answers.
//
// docs/parity.md says which test stands for which of grpc-python's own.
package parity
