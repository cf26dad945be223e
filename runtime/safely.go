package runtime

import "fmt"

// safely calls f, which is or calls application code, and reports whether f has returned. If f does not return, failed is
// called while the stack unwinds:
//
//   - f has panicked: failed gets the reason, and safely returns false.
//   - f ends its goroutine (runtime.Goexit, as t.FailNow does): failed gets nil. Nothing that follows safely runs then, in any
//     function of the goroutine, but what is deferred. What has to be done still, failed does, or another goroutine.
func safely(f func(), failed func(reason any)) (returned bool) {
	defer survive(&returned, failed)
	f()
	return true
}

// survive is deferred where application code runs: by safely, and where the two frames of safely would be on the stack of each
// handler.
// Unless the code has returned, it calls failed, as safely does.
func survive(returned *bool, failed func(reason any)) {
	if !*returned {
		failed(recover())
	}
}

// ignorePanic ignores a panic that nothing can be done about.
func ignorePanic(any) {}

// panicText describes the reason of a panic. It works even if printing the reason panics or ends the goroutine.
func panicText(reason any) string {
	if reason == nil {
		return "the handler ended its goroutine (runtime.Goexit)"
	}
	text := fmt.Sprintf("a %T that cannot be printed", reason)
	printed := make(chan struct{})
	go func() { // of its own, which the reason may end
		defer close(printed)
		safely(func() { text = fmt.Sprint(reason) }, ignorePanic)
	}()
	<-printed
	return text
}
