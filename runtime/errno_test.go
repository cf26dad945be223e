//go:build !plan9

package runtime

import "syscall"

// acceptErrors are what accept fails with for a while.
var acceptErrors = []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS}
