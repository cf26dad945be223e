package runtime

import (
	"runtime/debug"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

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
				s.logger.Error("Exception calling callback!", "method", logtext.Cut(path),
					"panic", logtext.Cut(panicText(reason)), "stack", string(debug.Stack()))
			})
		}
	})
}
