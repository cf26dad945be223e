// Package typecheck is the type checker for the user's package and what it imports, from source, in one build
// configuration. It needs no compiled packages, and goes on where a compiler would not: what a plugin generates may not
// be there yet, and the user may be in the middle of something.
package typecheck
