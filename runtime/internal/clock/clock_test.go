package clock

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestInstant(t *testing.T) {
	now := time.Now()
	at := Of(now)
	if at.IsZero() || !Instant(0).IsZero() {
		t.Errorf("the time is %d, and zero is %v", at, Instant(0).IsZero())
	}
	if got := at.Time().Sub(now); got != 0 {
		t.Errorf("there and back is %v off", got)
	}
	later := at.Add(time.Minute)
	if later.Sub(at) != time.Minute || !at.Before(later) || !later.After(at) || at.Before(at) || at.After(at) {
		t.Errorf("a minute after %d is %d", at, later)
	}
	for d, want := range map[time.Duration]Instant{math.MaxInt64: Never, -time.Minute: at - Instant(time.Minute), 0: at} {
		if got := at.Add(d); got != want {
			t.Errorf("%d plus %v is %d, want %d", at, d, got, want)
		}
	}
}

// TestNow_Bubble is that instants can be compared, and can be deadlines, where time is a test's.
func TestNow_Bubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := Now()
		end := began.Add(time.Hour)
		if left := time.Until(end.Time()); left != time.Hour {
			t.Errorf("%v are left of an hour", left)
		}
		time.Sleep(time.Hour)
		if now := Now(); now != end {
			t.Errorf("an hour later it is %v past that", now.Sub(end))
		}
	})
}
