package source

import (
	"go/token"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// newEdit parses a source as a file of the user's.
func newEdit(t *testing.T, source string) *Edit {
	t.Helper()
	file := newFile("impl.go", []byte(source))
	if err := file.Parse(token.NewFileSet()); err != nil {
		t.Fatal(err)
	}
	return NewEdit(file, gofile.NewImports("", nil), nil)
}

// TestInsertAfter adds TEXT behind the first declaration.
func TestInsertAfter(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"the end", "type T int", "type T int TEXT"},
		{"a line", "type T int\nvar x T", "type T int TEXT\nvar x T"},
		{"a comment", "type T int // that\n", "type T int // that TEXT\n"},
		{"a comment at the end", "type T int // that", "type T int // that TEXT"},
		{"a comment with a carriage return", "type T int // that\r\nvar x T", "type T int // that TEXT\r\nvar x T"},
		{"several comments", "type T int /* a */ /* b\n */ // c\n", "type T int /* a */ /* b\n */ // c TEXT\n"},
		{"carriage returns in a comment", "type T int /* a\r\nb\r\n;\r\n*/\r\n", "type T int /* a\r\nb\r\n;\r\n*/ TEXT\r\n"},
		{"a comment in a comment", "type T int /* // */ /*/ */ // /*\n", "type T int /* // */ /*/ */ // /* TEXT\n"},
		{"more code behind the comment", "type T int /* a */; var x T", "type T int /* a */ TEXT; var x T"},
		{"more code behind a comment with a new line", "type T int /* a\n */ var x T", "type T int TEXT /* a\n */ var x T"},
		{"a comment on the next line", "type T int\n// of x\nvar x T", "type T int TEXT\n// of x\nvar x T"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			edit := newEdit(t, "package impl\n"+test.source)
			edit.InsertAfter(edit.File.Syntax.Decls[0], " TEXT")
			if got := strings.TrimPrefix(string(edit.Content()), "package impl\n"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestInsertAfter_Cost has many comments behind the place: they are of no concern.
func TestInsertAfter_Cost(t *testing.T) {
	edit := newEdit(t, "package impl\ntype T int\n"+strings.Repeat("// A comment that is longer than a word.\nvar _ = 1\n", 1000))
	allocations := testing.AllocsPerRun(10, func() {
		edit.insertions = nil
		edit.InsertAfter(edit.File.Syntax.Decls[0], "TEXT")
	})
	if allocations > 10 {
		t.Errorf("%g allocations", allocations)
	}
}
