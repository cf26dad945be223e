// Package handover makes listeners that outlive a process. A new version of a server takes over from the old one with them,
// without refusing a connection. What the package returns is for [runtime.Server.AddListener].
//
// There are two ways. With the first, the listening socket itself passes from process to process. Either systemd holds it
// (socket activation), or the old process starts the new one and gives it the socket ([Command]). [Inherited] finds it. The
// socket never stops listening, and each connection in its queue is served by the process that accepts it.
//
// With the second, each process has a socket of its own at the same address ([Listen], with SO_REUSEPORT). The kernel
// distributes new connections among them. The old process serves the connections in its socket's queue before it closes the
// socket (runtime.Server.Stop does). But a connection that arrives between the last look at the queue and the close is
// reset. That takes microseconds; Linux closes the gap if the sysctl net.ipv4.tcp_migrate_req is 1, or one uses the first
// way.
//
// docs/operation.md shows both.
package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// firstDescriptor is SD_LISTEN_FDS_START of sd_listen_fds(3): where passed descriptors begin.
const firstDescriptor = 3

// maxDescriptors is more than a process can have on any system as it comes.
const maxDescriptors = 1 << 20

// The environment in which a process learns how many descriptors it has been passed: by systemd, which names the process, or
// by [Command].
const (
	fromSystemd = "LISTEN_FDS"
	systemdPID  = "LISTEN_PID"
	fromParent  = "GOGREETER_LISTEN_FDS"
)

// environment is all that has to do with passed descriptors.
var environment = []string{fromParent, fromSystemd, systemdPID, "LISTEN_FDNAMES"}

var inherited struct {
	once      sync.Once
	listeners []net.Listener
	err       error
}

// Inherited returns the listeners that systemd or [Command] passed to this process, in that order; none if there are none.
// Each call returns the same ones. The environment is cleared, so that children of this process do not take them for theirs.
//
// An error closes all that was passed. Nothing else in the process can reach it, and clients would wait for a process that
// does not serve them. Only if the environment does not say how many descriptors there are, they stay open.
func Inherited() ([]net.Listener, error) {
	inherited.once.Do(func() { inherited.listeners, inherited.err = takeOver(firstDescriptor) })
	return slices.Clone(inherited.listeners), inherited.err
}

// takeOver makes listeners of the descriptors from first on.
func takeOver(first int) (listeners []net.Listener, err error) {
	name := fromParent
	if os.Getenv(name) == "" && os.Getenv(systemdPID) == strconv.Itoa(os.Getpid()) {
		name = fromSystemd
	}
	count := os.Getenv(name)
	for _, name := range environment {
		os.Unsetenv(name)
	}
	if count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxDescriptors {
		return nil, fmt.Errorf("handover: %s is %q; it is the number of descriptors", name, count)
	}
	for fd := first; fd < first+n; fd++ {
		l, err := fileListener(fd)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			closePassed(fd+1, first+n)
			return nil, fmt.Errorf("handover: descriptor %d: %w", fd, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// fileListener makes a listener of a descriptor, which is closed: the listener has a duplicate that is closed on exec.
func fileListener(fd int) (net.Listener, error) {
	if err := passed(fd); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	return net.FileListener(file)
}

// closePassed closes the descriptors in a range, but for those that this process opened itself.
func closePassed(first, end int) {
	for fd := first; fd < end; fd++ {
		if passed(fd) == nil {
			os.NewFile(uintptr(fd), "listener").Close()
		}
	}
}

// Command has a process that is to be started inherit listeners, of the types of package net, as [Inherited] expects it.
// Each of the two processes has the sockets then. The parent closes its own when it likes, which Server.Stop does; the
// child's stay open. The command must have no ExtraFiles yet; after it was started, release closes the duplicates that were
// made for it. An error leaves the command and the listeners as they were. It is for Unix systems.
//
// From now on, closing a Unix listener leaves its socket file where it is, in either process.
func Command(command *exec.Cmd, listeners ...net.Listener) (release func(), err error) {
	if len(command.ExtraFiles) > 0 {
		return nil, errors.New("handover: the command has ExtraFiles already")
	}
	var files []*os.File
	release = func() {
		for _, file := range files {
			file.Close()
		}
	}
	for _, l := range listeners {
		source, ok := l.(interface{ File() (*os.File, error) })
		if !ok {
			release()
			return nil, fmt.Errorf("handover: a %T has no descriptor", l)
		}
		file, err := duplicate(source)
		if err != nil {
			release()
			return nil, fmt.Errorf("handover: %w", err)
		}
		files = append(files, file)
	}
	for _, l := range listeners {
		// A *net.UnixListener, of which package net leaves out this method on Plan 9, or a type that embeds one.
		if unix, ok := l.(interface{ SetUnlinkOnClose(unlink bool) }); ok {
			unix.SetUnlinkOnClose(false)
		}
	}
	command.ExtraFiles = slices.Clone(files)
	command.Env = slices.DeleteFunc(command.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(environment, name)
	})
	command.Env = append(command.Env, fromParent+"="+strconv.Itoa(len(listeners)))
	return release, nil
}
