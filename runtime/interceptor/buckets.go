package interceptor

import (
	"crypto/sha256"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"time"
)

const (
	defaultMaxKeys = 1 << 16
	sharedBuckets  = 256
	maxKeyOctets   = 128
)

// rateLimiter is a set of token buckets, as RateLimit says.
type rateLimiter struct {
	perSecond, burst float64
	maxKeys          int
	seed             maphash.Seed // clients must not know which keys share a bucket

	mu sync.Mutex
	// Guarded by mu.
	own         map[string]*bucket // by key, as nameOf makes it
	first, last *bucket            // of those in own, by when they have been looked at
	shared      [sharedBuckets]bucket
}

func newRateLimiter(options RateLimitOptions) *rateLimiter {
	l := &rateLimiter{
		perSecond: options.PerSecond, burst: float64(options.Burst), maxKeys: options.MaxKeys,
		seed: maphash.MakeSeed(), own: make(map[string]*bucket),
	}
	if l.burst <= 0 {
		l.burst = math.Ceil(l.perSecond)
	}
	if l.maxKeys <= 0 {
		l.maxKeys = defaultMaxKeys
	}
	return l
}

// bucket is what was missing of a burst of tokens at a moment. The zero value is full.
type bucket struct {
	missing float64
	at      time.Time

	// Of a bucket that is not shared.
	name string
	next *bucket
}

// missing returns the tokens that are missing at a later moment.
func (l *rateLimiter) missing(b *bucket, now time.Time) float64 {
	return max(0, b.missing-now.Sub(b.at).Seconds()*l.perSecond)
}

// take takes a token, and reports false if there is none.
func (l *rateLimiter) take(key string, now time.Time) bool {
	name := nameOf(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.own[name]
	if b == nil {
		b = l.newBucketLocked(name, now)
	}
	missing := l.missing(b, now)
	if missing > l.burst-1 {
		return false
	}
	b.missing, b.at = missing+1, now
	return true
}

// nameOf returns the name of a key's bucket: the key itself, or a digest if it is long. The two do not meet.
func nameOf(key string) string {
	if len(key) <= maxKeyOctets && !strings.HasPrefix(key, "\x00") {
		return key
	}
	digest := sha256.Sum256([]byte(key))
	return "\x00" + string(digest[:])
}

// newBucketLocked returns a bucket for a key that has none: of its own, or a shared one.
func (l *rateLimiter) newBucketLocked(name string, now time.Time) *bucket {
	l.sweepLocked(now)
	shared := &l.shared[maphash.String(l.seed, name)%sharedBuckets]
	if len(l.own) >= l.maxKeys {
		return shared
	}
	b := &bucket{name: strings.Clone(name), missing: l.missing(shared, now), at: now} // the key may have used the shared one
	l.own[b.name] = b
	l.lineUpLocked(b)
	return b
}

func (l *rateLimiter) lineUpLocked(b *bucket) {
	if l.last == nil {
		l.first = b
	} else {
		l.last.next = b
	}
	l.last, b.next = b, nil
}

// sweepLocked looks at two buckets, and throws out those that are full again. It is called for each new key. So there are at
// most about twice as many as are not full, and no RPC has to wait until all have been looked at.
func (l *rateLimiter) sweepLocked(now time.Time) {
	for range 2 {
		b := l.first
		if b == nil {
			return
		}
		if l.first = b.next; l.first == nil {
			l.last = nil
		}
		if l.missing(b, now) > 0 {
			l.lineUpLocked(b)
		} else {
			delete(l.own, b.name)
		}
	}
}
