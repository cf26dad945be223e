package wire

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// The values of TimeoutUnit (PROTOCOL-HTTP2), from short to long.
const unitLetters = "numSMH"

var units = [len(unitLetters)]time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour}

// ParseTimeout reads the value of grpc-timeout. PROTOCOL-HTTP2: TimeoutValue is a "positive integer as ASCII string of at most
// 8 digits". What no Duration can hold becomes the longest there is. 0, which is not positive, is taken all the same: clients send
// it when the deadline has passed before the RPC begins.
func ParseTimeout(value string) (time.Duration, error) {
	digits := len(value) - 1
	unit, n := -1, int64(0)
	if digits >= 1 && digits <= 8 {
		unit = strings.IndexByte(unitLetters, value[digits])
		for i := 0; i < digits && unit >= 0; i++ {
			if value[i] < '0' || value[i] > '9' {
				unit = -1
				break
			}
			n = n*10 + int64(value[i]-'0')
		}
	}
	switch {
	case unit < 0:
		return 0, Malformed.errorf("malformed grpc-timeout %q", excerpt.Of(value))
	case n > math.MaxInt64/int64(units[unit]):
		return math.MaxInt64, nil
	}
	return time.Duration(n) * units[unit], nil
}

// FormatTimeout returns the value of grpc-timeout for a duration: in the shortest unit in which it has eight digits, rounded
// up, so that the server does not give up before the client does. One that has passed is 0.
func FormatTimeout(timeout time.Duration) string {
	const most = 99_999_999 // "at most 8 digits"
	timeout = max(timeout, 0)
	unit := 0
	for timeout > most*units[unit] && unit < len(units)-1 {
		unit++
	}
	n := timeout / units[unit]
	if timeout%units[unit] > 0 {
		n++
	}
	return strconv.FormatInt(int64(n), 10) + unitLetters[unit:unit+1]
}
