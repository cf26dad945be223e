package runtime

import (
	goruntime "runtime"
	"testing"
)

// TestSafely has code end in every way, with failed as it should be and with failed ending in turn.
func TestSafely(t *testing.T) {
	for _, tt := range []struct {
		name            string
		f               func()
		failed          func()
		calls, goes     bool // failed is called; what follows safely runs
		returned, isNil bool // what safely returns; the reason is nil
	}{
		{"Returns", func() {}, nil, false, true, true, false},
		{"Panics", func() { panic("x") }, nil, true, true, false, false},
		{"PanicsNil", func() { panic(nil) }, nil, true, true, false, false},
		{"Exits", goruntime.Goexit, nil, true, false, false, true},
		{"PanicsAndFailedExits", func() { panic("x") }, goruntime.Goexit, true, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, goes, returned, isNil := false, false, false, false
			done := make(chan struct{})
			go func() {
				defer close(done)
				returned = safely(tt.f, func(reason any) {
					calls, isNil = true, reason == nil
					if tt.failed != nil {
						tt.failed()
					}
				})
				goes = true
			}()
			<-done
			if calls != tt.calls || goes != tt.goes || returned != tt.returned || isNil != tt.isNil {
				t.Errorf("failed was called: %v, what follows ran: %v, returned: %v, the reason was nil: %v", calls, goes, returned, isNil)
			}
		})
	}
}
