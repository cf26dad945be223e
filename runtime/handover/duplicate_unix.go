//go:build unix

package handover

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// duplicate returns a listener's socket as a file for exec.Cmd. The file that package net makes does not do: package os/exec
// makes it blocking. Descriptors of one socket share that, so the listener itself would be blocking too.
func duplicate(source interface{ File() (*os.File, error) }) (*os.File, error) {
	file, err := source.File()
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, os.ErrInvalid
	}
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if failed := raw.Control(func(from uintptr) { fd, err = dup(int(from)) }); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// dup duplicates a descriptor, for this process alone.
func dup(from int) (fd int, err error) {
	syscall.ForkLock.RLock() // a child that is started meanwhile must not have it
	defer syscall.ForkLock.RUnlock()
	if fd, err = unix.Dup(from); err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}

// passed fails unless a descriptor came from another process. One that is closed on exec did not: Go opens all of its own
// like that. If the number of descriptors is too large, the next may be the runtime's, which cannot do without.
func passed(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if flags&unix.FD_CLOEXEC != 0 {
		return errors.New("it was not passed to this process")
	}
	return nil
}
