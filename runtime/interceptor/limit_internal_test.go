package interceptor

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestConcurrencyLimiter_ForgetsIdleKeys has clients choose ever new keys, one of which is in use all the time.
func TestConcurrencyLimiter_ForgetsIdleKeys(t *testing.T) {
	l := &concurrencyLimiter{limit: 2, running: make(map[string]int)}
	l.take("used")
	for i := range 1000 {
		key := strconv.Itoa(i)
		first, second, third := l.take(key), l.take(key), l.take(key)
		if !first || !second || third || !l.take("used") {
			t.Fatalf("key %s: the limit is another than 2", key)
		}
		l.give(key)
		l.give(key)
		l.give("used")
	}
	if len(l.running) != 1 || l.running["used"] != 1 {
		t.Errorf("%d keys are kept, and the one in use has %d RPCs", len(l.running), l.running["used"])
	}
}

// TestRateLimiter_ForgetsFullBuckets has clients choose ever new keys.
func TestRateLimiter_ForgetsFullBuckets(t *testing.T) {
	l := newRateLimiter(RateLimitOptions{PerSecond: 10, Burst: 1})
	now := time.Unix(0, 0)
	for i := range 100_000 {
		now = now.Add(time.Millisecond)
		if !l.take(strconv.Itoa(i), now) {
			t.Fatal("a key that was never used has no token")
		}
	}
	// A bucket is full again after 100 ms, in which there come 100 keys.
	if n := len(l.own); n > 2*100+10 || n != inLine(l) {
		t.Errorf("%d buckets are kept, and %d in line", n, inLine(l))
	}
}

// inLine counts the buckets that will be looked at.
func inLine(l *rateLimiter) (n int) {
	for b := l.first; b != nil; b = b.next {
		n++
	}
	return n
}

// TestRateLimiter_TooManyKeys has clients choose more keys at once than are told apart.
func TestRateLimiter_TooManyKeys(t *testing.T) {
	const maxKeys, burst = 1000, 3
	l := newRateLimiter(RateLimitOptions{PerSecond: 1, Burst: burst, MaxKeys: maxKeys})
	now := time.Unix(0, 0)
	for range burst {
		l.take("spent", now)
	}
	l.take("begun", now)
	late := 0
	for i := range 100 * maxKeys {
		if l.take(fmt.Sprint("key ", i), now) && i >= maxKeys {
			late++
		}
	}
	if len(l.own) != maxKeys || inLine(l) != maxKeys {
		t.Errorf("%d and %d buckets are kept, want %d", len(l.own), inLine(l), maxKeys)
	}
	if most := burst * sharedBuckets; late > most || late < most*9/10 {
		t.Errorf("of the keys that came late %d were admitted, want %d", late, most)
	}
	if l.take("spent", now) {
		t.Error("others have lifted a key's limit")
	}
	for i := range burst {
		if got := l.take("begun", now); got != (i < burst-1) {
			t.Errorf("attempt %d of a key that was known: got %v", i+2, got)
		}
	}
	now = now.Add(burst * time.Second)
	for i := range maxKeys {
		l.take(fmt.Sprint("later ", i), now)
	}
	if l.own["later 0"] == nil || l.own["spent"] != nil {
		t.Error("there is no room although all buckets were full")
	}
}

// TestRateLimiter_NeverMoreThanAlone has keys that are known, come late and are forgotten in turn. None may do more than it
// could if it were the only one.
func TestRateLimiter_NeverMoreThanAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	l := newRateLimiter(RateLimitOptions{PerSecond: 10, Burst: 4, MaxKeys: 5})
	alone := map[string]*rateLimiter{}
	now := time.Unix(0, 0)
	admitted, shared := 0, 0
	for range 100_000 {
		now = now.Add(time.Duration(random.IntN(20)) * time.Millisecond)
		key := strconv.Itoa(random.IntN(1 << random.IntN(6)))
		if alone[key] == nil {
			alone[key] = newRateLimiter(RateLimitOptions{PerSecond: 10, Burst: 4})
		}
		if !l.take(key, now) {
			continue
		}
		admitted++
		if l.own[key] == nil {
			shared++
		}
		if !alone[key].take(key, now) {
			t.Fatalf("key %s was admitted at %v, which it would not be alone", key, now)
		}
	}
	if admitted < 1000 || shared < 1000 || shared > admitted-1000 {
		t.Errorf("%d RPCs were admitted, %d of them by shared buckets: too few of one sort to tell", admitted, shared)
	}
}

// TestRateLimiter_LongKeys keeps little of keys that are long, and tells them apart.
func TestRateLimiter_LongKeys(t *testing.T) {
	l := newRateLimiter(RateLimitOptions{PerSecond: 1, Burst: 1})
	long := strings.Repeat("a", 16<<10)
	keys := []string{"", "a", "\x00", long[:maxKeyOctets], long[:maxKeyOctets+1], long, long + "b", nameOf(long)}
	for _, want := range []bool{true, false} {
		for _, key := range keys {
			if l.take(key, time.Unix(0, 0)) != want {
				t.Errorf("a key of %d octets was admitted: %v", len(key), !want)
			}
		}
	}
	for name := range l.own {
		if len(name) > maxKeyOctets {
			t.Errorf("a name of %d octets is kept", len(name))
		}
	}
}
