// Package faults has things happen to a server's process, or its clients', that are nobody's intention: no descriptor
// is left, the process is stopped for a while, clients are killed, and there is more of everything than usual.
package faults
