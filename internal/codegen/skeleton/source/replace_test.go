//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package source

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// TestReplace_AtOnce replaces a file from several sides. One of them is right: the others have read what is not there any
// more.
func TestReplace_AtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "impl.go")
	for range 50 {
		codegentest.WriteFile(t, path, "before")
		var replaced atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				file := &File{Path: "impl.go", Source: []byte("before"), onDisk: path}
				if file.Replace([]byte("after")) == nil {
					replaced.Add(1)
				}
			})
		}
		all.Wait()
		if n := replaced.Load(); n != 1 {
			t.Fatalf("replaced %d times", n)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}
