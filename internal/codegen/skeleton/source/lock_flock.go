//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package source

import (
	"errors"
	"os"
	"syscall"
)

// lockDirectory keeps other runs of the plugin from replacing files in a directory until unlock is called, or this
// process ends. File systems that know no locks are used without.
func lockDirectory(dir string) (unlock func() error, err error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return file.Close, nil
		}
	}
}
