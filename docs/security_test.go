package docs

import (
	"os"
	"path/filepath"
	"regexp"
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
	server := sources(t, "runtime", "server.go")
	options := regexp.MustCompile("`Options\\.(?:Connections\\.)?(\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(options) < 10 {
		t.Errorf("only %d options are named", len(options))
	}
	for _, name := range options {
		if !regexp.MustCompile(`(?m)^\t(\w+, )*` + name[1] + `\b`).MatchString(server) {
			t.Errorf("there is no option %s", name[1])
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
