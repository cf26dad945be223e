// Package attack has no code of its own. Its tests attack a server over loopback TCP, frame by frame, and look at what
// that costs: the server runs in a process of its own, which tells its memory and CPU time, while a bystander calls it and
// has to be answered. docs/security.md has the tables that they print.
//
// The servers are of several kinds (kinds_test.go). What a connection can have one hold, and what it can cost, is measured by
// cases and by a search, whose attacks are data (genome_test.go).
package attack
