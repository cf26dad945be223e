// Package source holds the files of a user's package: which there are, which builds they are for, where text is added to
// them, and how the result replaces them without a loss.
//
// A File is what has been read, and stays that; what is to be added is in an Edit.
package source
