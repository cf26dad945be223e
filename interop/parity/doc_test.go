package parity

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocument_NamesTestsThatExist keeps docs/parity.md true when tests are renamed.
func TestDocument_NamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/parity.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z0-9/-]+)\\.(Test\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 50 {
		t.Fatalf("only %d tests are named", len(names))
	}
	sources := map[string]string{} // by directory
	for _, name := range names {
		directory, test := name[1], name[2]
		if sources[directory] == "" {
			sources[directory] = sourceOfTests(t, directory)
		}
		if !strings.Contains(sources[directory], "\nfunc "+test+"(") {
			t.Errorf("there is no test %s.%s", directory, test)
		}
	}
}

// TestDocument_NamesRowsThatExist does the same for rows; "…" at the end stands for several.
func TestDocument_NamesRowsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/parity.md")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(dispatchRows, outcomeRows, statusRows, metadataRows, endRows, limitRows)
	for _, list := range regexp.MustCompile(`rows? ("[^|;]*")`).FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list[1], -1) {
			prefix, several := strings.CutSuffix(name[1], "…")
			if !slices.ContainsFunc(all, func(r row) bool { return r.name == prefix || several && strings.HasPrefix(r.name, prefix) }) {
				t.Errorf("there is no row %q", name[1])
			}
		}
	}
}

func sourceOfTests(t *testing.T, directory string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", directory, "*_test.go"))
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
