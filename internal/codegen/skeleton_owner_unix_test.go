//go:build unix

package codegen

import (
	"os"
	"syscall"
	"testing"
)

// TestSkeleton_KeepsTheOwner runs as root, as plugins do in containers, on a user's file.
func TestSkeleton_KeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	_, dir, file := newImpl(t, shopWithGet)
	if err := os.Chown(file, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	if _, err := runSkeleton(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() == int64(len(shopWithGet)) {
		t.Error("nothing has been added")
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 12345 || stat.Gid != 23456 {
		t.Errorf("the owner is now %d:%d", stat.Uid, stat.Gid)
	}
}
