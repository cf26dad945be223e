// Package naming lets a server find out which methods its interceptors name, so that it can report those that are not there.
//
// An interceptor is a function, and an application's may do anything when it is called: none is called but for an RPC. Those
// of this module's own constructors answer a question too. They are told from others by their code, see [Mark].
package naming

import (
	"context"
	"reflect"
)

// Question is the context with which an interceptor is called that is to tell what it names, without an RPC.
type Question struct {
	context.Context

	// Patterns are the answers: "/package.Service/Method", or "/package.Service/*".
	Patterns []string
}

// Ask returns an empty question.
func Ask() *Question { return &Question{Context: context.Background()} }

// answering holds the code of the functions that answer. It is written by init functions only.
var answering = map[uintptr]bool{}

// Mark notes that functions with the code of f answer a [Question]. f has to be a method value: the code of a function literal
// is copied where the function around it is inlined, and copies would not be marked. It is for init functions.
func Mark(f any) { answering[reflect.ValueOf(f).Pointer()] = true }

// Answers reports whether f may be asked.
func Answers(f any) bool { return answering[reflect.ValueOf(f).Pointer()] }
