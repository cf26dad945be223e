package source

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckUnchanged fails if a file is not any more what was read.
func (f *File) CheckUnchanged() error {
	path := f.onDisk
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("nothing has been written: %w", err)
	}
	if info.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s cannot be written to: %w", f.Path, fs.ErrPermission)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, f.Source) {
		return errors.Join(fmt.Errorf("%s has changed since it was read: run this again (with buf, strategy: all keeps "+
			"two runs from writing to one directory at a time)", f.Path), err)
	}
	return nil
}

// Create writes a file that must not be there yet.
func Create(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err := writeAndClose(file, content); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func writeAndClose(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Replace puts new content in the place of a file, at once: a reader finds all of the one or of the other.
func (f *File) Replace(content []byte) error {
	path, err := filepath.EvalSymlinks(f.onDisk)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".gogreeter-*.tmp")
	if err != nil {
		return err
	}
	err = errors.Join(keepOwner(temporary, info), temporary.Chmod(info.Mode().Perm()), writeAndClose(temporary, content))
	if err == nil {
		err = f.moveIn(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// moveIn gives another file the path of this one, if this is still what was read. Another run does not come in between.
func (f *File) moveIn(temporary, path string) error {
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = f.CheckUnchanged()
	if err == nil {
		err = os.Rename(temporary, path)
	}
	return errors.Join(err, unlock())
}
