package http2

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBucket_Take(t *testing.T) {
	for _, row := range []struct {
		name  string
		times int           // tokens taken
		every time.Duration // pause before each
		ok    bool
	}{
		{"the burst", 10, 0, true},
		{"over the burst", 11, 0, false},
		{"at the rate, for long", 1000, time.Second / 5, true},
		{"below the rate, with the first refill long after the start", 15, time.Hour, true},
		{"over the rate, for long", 1000, time.Second / 6, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rate := Rate{10, 5}
				b := rate.bucket()
				ok := true
				for range row.times {
					time.Sleep(row.every)
					ok = ok && b.take(rate)
				}
				if ok != row.ok {
					t.Errorf("take reports %v in the end", ok)
				}
			})
		})
	}
}

func TestBucket_HoldsNoMoreThanBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := Rate{10, 5}
		b := rate.bucket()
		for b.take(rate) {
		}
		time.Sleep(time.Hour)
		n := 0
		for b.take(rate) {
			n++
		}
		if n > 10 {
			t.Errorf("%d tokens after an hour", n)
		}
	})
}

func TestConfig_Defaults(t *testing.T) {
	c := Config{}.WithDefaults()
	if c.MaxConcurrentStreams != 1000 || c.StreamWindow != 65535 || c.ConnWindow != 1<<20 || c.MaxHeaderListBytes != 16384 {
		t.Errorf("got %+v", c)
	}
	// RFC 9113, Section 6.9.2: "the connection flow-control window is 65,535 octets" to begin with, and only
	// WINDOW_UPDATE changes it: a smaller one can't be had.
	if c := (Config{ConnWindow: 100, StreamWindow: 100}).WithDefaults(); c.ConnWindow != 65535 || c.StreamWindow != 100 {
		t.Errorf("windows of %d and %d", c.ConnWindow, c.StreamWindow)
	}
}
