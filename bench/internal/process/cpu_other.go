//go:build !linux

package process

import (
	"errors"
	"time"
)

// CPU fails: a process cannot be measured here as it is on Linux.
func (s *Server) CPU() (time.Duration, error) {
	return 0, errors.New("servers can be measured on Linux only")
}
