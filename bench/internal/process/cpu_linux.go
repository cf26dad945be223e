package process

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the user and system time that the server has taken since its start. It is read from the clock of the
// process, which counts nanoseconds where /proc counts ticks of 10 ms. clock_getcpuclockid(3) makes the clock's
// identity of that of the process like this, for any process: "~pid << 3 | CPUCLOCK_SCHED".
func (s *Server) CPU() (time.Duration, error) {
	const scheduled = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(^int32(s.command.Process.Pid)<<3|scheduled, &spent); err != nil {
		return 0, fmt.Errorf("the CPU clock of the server: %w", err)
	}
	return time.Duration(spent.Nano()), nil
}
