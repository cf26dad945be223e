//go:build unix

package source

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file to the owner of the one that it is to replace. The plugin may run as another user: in a container
// that is often root, and the user could not edit the file any more.
func keepOwner(file *os.File, replaced fs.FileInfo) error {
	now, err := file.Stat()
	if err != nil {
		return err
	}
	want, ok := replaced.Sys().(*syscall.Stat_t)
	have, haveOK := now.Sys().(*syscall.Stat_t)
	if !ok || !haveOK || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	if err := file.Chown(int(want.Uid), int(want.Gid)); err != nil && want.Uid != have.Uid { // Groups are a lesser matter.
		return fmt.Errorf("%s belongs to another user, who would lose it: %w", replaced.Name(), err)
	}
	return nil
}
