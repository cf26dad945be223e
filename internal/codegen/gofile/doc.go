// Package gofile knows the small print of Go files: which names a file may give to the packages that it imports, what
// its declarations declare, and what its own name means to the go command.
//
// It is below both halves of the generator, the one that writes files and the one that adds to a user's (package
// skeleton), so that they choose the same names.
package gofile
