package interceptor

import (
	"strconv"
	"testing"
	"time"
)

// TestRateLimiter_ForgetsFullBuckets has clients choose ever new keys.
func TestRateLimiter_ForgetsFullBuckets(t *testing.T) {
	l := &rateLimiter{perSecond: 10, burst: 1, buckets: make(map[string]bucket)}
	now := time.Unix(0, 0)
	for i := range 100 * minSweep {
		now = now.Add(time.Millisecond)
		if !l.take(strconv.Itoa(i), now) {
			t.Fatal("a key that was never used has no token")
		}
	}
	// A bucket is full again after 100 ms, in which there come 100 keys.
	if n := len(l.buckets); n > minSweep+2*100+1 {
		t.Errorf("%d buckets are kept", n)
	}
}
