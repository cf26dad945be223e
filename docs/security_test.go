package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSecurity_NamesTestsThatExist keeps security.md true when tests are renamed, and options too.
func TestSecurity_NamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 40 {
		t.Errorf("only %d tests are named", len(names))
	}
	for _, name := range names {
		if !strings.Contains(sources(t, name[1], "*_test.go"), "\nfunc "+name[2]+"(") {
			t.Errorf("there is no test %s.%s", name[1], name[2])
		}
	}
	source := sources(t, "runtime", "options.go")
	options := regexp.MustCompile("`ServerOptions\\.(?:Connections\\.)?(\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(options) < 10 {
		t.Errorf("only %d options are named", len(options))
	}
	for _, name := range options {
		if !regexp.MustCompile(`(?m)^\t(\w+, )*` + name[1] + `\b`).MatchString(source) {
			t.Errorf("there is no option %s", name[1])
		}
	}
}

// TestSecurity_NamesTheTestsOfFloods has security.md name, for each frame that costs a client something, a test that fails
// where the frame is free. Which do, internal/mutants knows.
func TestSecurity_NamesTheTestsOfFloods(t *testing.T) {
	text, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	free := regexp.MustCompile(`name: "([^"]+ (?:is|are) free)".* tests: "([^"]+)"`)
	mutants := free.FindAllStringSubmatch(sources(t, "internal/mutants", "*.go"), -1)
	if len(mutants) < 7 {
		t.Errorf("only %d mutants have a frame that is free", len(mutants))
	}
	for _, mutant := range mutants {
		if !slices.ContainsFunc(strings.Split(mutant[2], "|"), func(name string) bool {
			return strings.Contains(string(text), "`runtime/internal/http2."+name+"`")
		}) {
			t.Errorf("%q is noticed by %s, which security.md does not name", mutant[1], mutant[2])
		}
	}
}

// sources returns the files of a directory whose names match a pattern.
func sources(t *testing.T, directory, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", directory, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
