package serve

import (
	"sync/atomic"
	"time"
)

var (
	calls, failures atomic.Int64
	spent           atomic.Int64 // ns
	lastMethod      atomic.Pointer[string]
)

// Observe is what the interceptor of each server does once an RPC has ended.
func Observe(method string, start time.Time, err error) {
	calls.Add(1)
	if err != nil {
		failures.Add(1)
	}
	spent.Add(int64(time.Since(start)))
	if last := lastMethod.Load(); last == nil || *last != method {
		lastMethod.Store(&method)
	}
}
