// Package restarts exchanges servers for others while clients call them, in the ways that docs/operation.md describes,
// and demands that no RPC fails.
package restarts
