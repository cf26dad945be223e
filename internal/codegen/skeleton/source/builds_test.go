package source

import (
	"go/build"
	"runtime"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/golist"
)

// TestFindBuilds counts build configurations.
func TestFindBuilds(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string // platforms and tags
	}{
		{"one", map[string]string{"a.go": "package a"}, "here"},
		{"ignored", map[string]string{"a.go": "package a", "b.go": "//go:build ignore\n\npackage b"}, "here"},
		{"two platforms", map[string]string{"a_linux.go": "package a", "a_windows.go": "package a"}, "linux/amd64|windows/amd64"},
		{"tags", map[string]string{"a.go": "package a", "b.go": "//go:build x && !y\n\npackage a"}, "here|here with the tags x"},
		{"another package", map[string]string{"a.go": "package a", "b.go": "//go:build tools\n\npackage tools"}, "here"},
		{"many tags", map[string]string{"a.go": "//go:build t1 || t2 || t3 || t4 || t5 || t6\n\npackage a"}, "here with the tags t1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var files []*File
			for name, source := range test.files {
				files = append(files, newFile(name, []byte(source)))
			}
			here := runtime.GOOS + "/" + runtime.GOARCH
			basis := &golist.Basis{
				Config:   golist.Config{GOOS: runtime.GOOS, GOARCH: runtime.GOARCH},
				Matching: &build.Context{Compiler: "gc", ReleaseTags: build.Default.ReleaseTags},
			}
			if strings.HasPrefix(test.want, "linux") {
				basis.Config.GOOS, basis.Config.GOARCH = "linux", "amd64"
			}
			var names []string
			for _, b := range FindBuilds(basis, files) {
				names = append(names, strings.Replace(b.String(), here, "here", 1))
			}
			want := strings.Replace(test.want, here, "here", 1)
			if got := strings.Join(names, "|"); got != want {
				t.Errorf("builds %s, want %s", got, want)
			}
		})
	}
}
