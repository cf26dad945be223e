package gofile

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports_Names says by which name a file refers to packages, and which of them its import block has to name.
func TestImports_Names(t *testing.T) {
	const self = "example.com/self"
	tests := []struct{ path, name, spec string }{
		{"context", "context", `"context"`},
		{"net/http", "http", `"net/http"`},
		{"math/rand/v2", "rand", `rand "math/rand/v2"`},
		{RuntimePackage, "runtime", `"github.com/gogreeter/gogreeter/runtime"`},
		{"example.com/known/v3", "known", `known "example.com/known/v3"`}, // known from the request
		{"example.com/known", "known", `"example.com/known"`},
		{"example.com/user", "user", `user "example.com/user"`}, // may be called otherwise
		{"example.com/user/v2", "user", `user "example.com/user/v2"`},
		{"example.com/user/v2/sub", "sub", `sub "example.com/user/v2/sub"`},
		{"example.com/user/v", "v", `v "example.com/user/v"`},
		{"gopkg.in/user.v2", "user", `user "gopkg.in/user.v2"`},
		{"user/v2", "user", `user "user/v2"`},
		{"v2", "v2", `v2 "v2"`},
		{"example.com/go-user", "go_user", `go_user "example.com/go-user"`},
		{"example.com/2", "_2", `_2 "example.com/2"`},
		{"example.com/-", "__", `__ "example.com/-"`},
		{"example.com/string", "string1", `string1 "example.com/string"`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			imports := NewImports(self, map[string]string{"example.com/known": "known", "example.com/known/v3": "known"})
			if name := imports.Use(tt.path); name != tt.name {
				t.Errorf("it is called %s, want %s", name, tt.name)
			}
			if block, want := imports.Block(), "\nimport (\n\t"+tt.spec+"\n)\n"; block != want {
				t.Errorf("got %s, want %s", block, want)
			}
		})
	}
}

// TestImports_StandardLibrary compares the list with what the go command has. One that is missing is imported by name.
func TestImports_StandardLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	output, err := exec.Command("go", "list", "std").Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for path := range strings.FieldsSeq(string(output)) {
		first, _, _ := strings.Cut(path, "/")
		listed[first] = true
		if !standardLibrary[first] && first != "vendor" && !strings.Contains(path, "internal") {
			t.Errorf("%s is not in the list", path)
		}
	}
	for first := range standardLibrary {
		if !listed[first] {
			t.Errorf("there is no %s in the standard library", first)
		}
	}
}
