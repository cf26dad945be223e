package runtime

import (
	"runtime/debug"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

// ending is how an RPC has ended, and what is to be done then. The first two stay as they are from then on, for the functions of
// a handler that outlives its RPC; what follows is taken out by end, so that it happens once.
type ending struct {
	outcome   outcome       // once it is over
	cause     error         // what the context's Err returns, once it is over
	done      chan struct{} // nil: not asked for yet
	after     *afterwards   // nil: nothing is to be called
	beginning *budget.Claim // by which it waits for room to begin, or has waited; nil: it has not had to
}

// afterwards returns what is to be called once the RPC is over, to be added to.
func (e *ending) afterwards() *afterwards {
	if e.after == nil {
		e.after = &afterwards{}
	}
	return e.after
}

// afterwards is what is to be called once an RPC is over. It is made when the first function comes: most RPCs have none. All of
// it runs on goroutines of its own, since whatever ends an RPC may be its reader, or hold a lock.
type afterwards struct {
	funcs     map[*func()]struct{}
	callbacks []func()
}

// call calls all of it, on goroutines of their own. a may be nil.
func (a *afterwards) call(s *shared, path string) {
	if a == nil {
		return
	}
	for f := range a.funcs {
		s.callAfter(*f)
	}
	if a.callbacks != nil {
		s.callBack(a.callbacks, path)
	}
}

// callAfter calls what AfterFunc was given.
func (s *shared) callAfter(f func()) { s.spawn("a function to be called after an RPC", f) }

// callBack calls what AddCallback was given, in that order. A callback that panics, or ends its goroutine, is no reason
// to skip the others.
func (s *shared) callBack(callbacks []func(), path string) {
	s.spawn("the callbacks of an RPC", func() {
		for i, f := range callbacks {
			safely(f, func(reason any) {
				if reason == nil { // this goroutine does not go on
					defer s.callBack(callbacks[i+1:], path)
				}
				text, stack := logtext.Cut(panicText(reason)), string(debug.Stack())
				s.aside(func() { // or it could end this goroutine
					s.logger.Error("Exception calling callback!", "method", logtext.Cut(path), "panic", text, "stack", stack)
				})
			})
		}
	})
}
