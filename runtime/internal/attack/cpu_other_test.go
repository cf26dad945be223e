//go:build !linux

package attack

import "time"

func cpuTime() time.Duration { return 0 }
