package runtime

import (
	"math"
	"time"
)

// parseTimeout reads the value of grpc-timeout. gRPC PROTOCOL-HTTP2: TimeoutValue is a "positive integer as ASCII
// string of at most 8 digits", TimeoutUnit one of H M S m u n. What no Duration can hold becomes the longest there is.
func parseTimeout(value string) (timeout time.Duration, ok bool) {
	digits := len(value) - 1
	if digits < 1 || digits > 8 {
		return 0, false
	}
	var n int64
	for i := 0; i < digits; i++ {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	var unit time.Duration
	switch value[digits] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	if n > math.MaxInt64/int64(unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
}
