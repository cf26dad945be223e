package health

import (
	"fmt"
	"testing"
)

// TestServicer_Print prints a servicer while it is used. It is for the race detector.
func TestServicer_Print(t *testing.T) {
	s := NewServicer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			s.Set(fmt.Sprint(i), Serving)
		}
	}()
	for range 100 {
		_ = fmt.Sprintf("%v %+v %#v %s %d", s, s, s, s, s)
	}
	<-done
}
