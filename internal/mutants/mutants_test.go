package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestList checks, without running them, that the mutants are there: each mistake can be made in one place, and the tests that
// have to notice exist.
func TestList(t *testing.T) {
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 150 {
		t.Errorf("there are %d mutants", len(all))
	}
	tests := make(map[string][]string) // by package
	for _, m := range all {
		if m.old == m.new {
			t.Errorf("%q changes nothing", m.name)
		}
		if (m.tests == "") == (m.equivalent == "") {
			t.Errorf("%q has to have tests, or a reason why it needs none", m.name)
		}
		if tests[m.in] == nil {
			tests[m.in] = testsOf(t, m.in)
		}
		for _, name := range m.testNames() {
			if m.tests != "" && !slices.Contains(tests[m.in], name) {
				t.Errorf("%q: there is no %s in %s", m.name, name, m.in)
			}
		}
	}
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

func testsOf(t *testing.T, directory string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*_test.go"))
	if err != nil || files == nil {
		t.Fatalf("%s has no tests: %v", directory, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testFunction.FindAllStringSubmatch(string(content), -1) {
			names = append(names, found[1])
		}
	}
	return names
}

// TestChoose takes the list apart, and looks whether the parts are all of it.
func TestChoose(t *testing.T) {
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[*mutant]bool)
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		chosen, err := choose(all, part, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range chosen {
			if seen[m] {
				t.Errorf("%q is in two parts", m.name)
			}
			seen[m] = true
		}
	}
	if len(seen) != len(all) {
		t.Errorf("the parts have %d mutants of %d", len(seen), len(all))
	}
	one, err := choose(all, "1/1", regexp.QuoteMeta(all[7].name)+"$")
	if err != nil || len(one) != 1 || one[0] != all[7] {
		t.Errorf("by its name: %v, %v", one, err)
	}
	for _, part := range []string{"", "0/3", "4/3", "1", "x/y", "1/0"} {
		if _, err := choose(all, part, ""); err == nil {
			t.Errorf("part %q is taken", part)
		}
	}
	for _, pattern := range []string{"(", "no mutant is called that"} {
		if _, err := choose(all, "1/1", pattern); err == nil {
			t.Errorf("pattern %q is taken", pattern)
		}
	}
}

// TestRead refuses mutants whose text is not there, or is there twice.
func TestRead(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a.go", "package a\n\nconst one, two = 1, 1\n")
	for old, want := range map[string]int{"two": 3, "package": 1, "1": 0, "three": 0} {
		m := &mutant{name: old, file: "a.go", old: old, new: "x"}
		err := m.read(root)
		if (err == nil) != (want > 0) || m.line != want {
			t.Errorf("%q: line %d, %v", old, m.line, err)
		}
		if want > 0 && strings.Contains(m.changed(), old) {
			t.Errorf("%q is left in %q", old, m.changed())
		}
	}
}

func write(t *testing.T, directory, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRun runs mutants of a small module, of each fate. The module stays as it is.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program for each mutant")
	}
	root := t.TempDir()
	const source = "package a\n\nfunc Least(a, b int) int {\n\tif a < b {\n\t\treturn a\n\t}\n\treturn b\n}\n"
	write(t, root, "go.mod", "module a\n\ngo 1.26.0\n")
	write(t, root, "a.go", source)
	write(t, root, "a_test.go", `package a

import "testing"

func TestLeast(t *testing.T) {
	if Least(1, 2) != 1 || Least(2, 1) != 1 {
		t.Error("wrong")
	}
}

func TestNothing(t *testing.T) { Least(1, 2) }
`)
	for _, tt := range []struct {
		mutant mutant
		want   fate
		text   string
	}{
		{mutant{old: "a < b", new: "a > b", tests: "TestNothing|TestLeast"}, killed, "TestLeast"},
		{mutant{old: "return b", new: "for {\n\t}", tests: "TestLeast"}, killed, "TestLeast does not end"},
		{mutant{old: "return a", new: "panic(a)", tests: "TestNothing"}, killed, "TestNothing"},
		{mutant{old: "return b", new: "panic(a)", tests: "TestNothing"}, survived, ""},
		{mutant{old: "a < b", new: "a <= b", tests: "TestLeast"}, survived, ""},
		{mutant{old: "a < b", new: "a <= b", equivalent: "it is the same"}, equivalent, "it is the same"},
		{mutant{old: "a < b", new: "a < c", tests: "TestLeast"}, broken, "it does not compile"},
		{mutant{old: "a < b", new: "a > b", tests: "TestMost"}, broken, "there is no such test"},
	} {
		m := tt.mutant
		m.file = "a.go"
		if err := m.read(root); err != nil {
			t.Fatal(err)
		}
		timeout := time.Minute
		if strings.Contains(m.new, "for") {
			timeout = 2 * time.Second
		}
		if got := m.run(t.Context(), filepath.Join(t.TempDir(), "0"), timeout); got.fate != tt.want || !strings.HasPrefix(got.text, tt.text) {
			t.Errorf("%q: %s: %s, want %s", m.new, got.fate, got.text, tt.want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(root, "a.go")); err != nil || string(content) != source {
		t.Errorf("the source is now %q, %v", content, err)
	}
}

// TestJudge has go test end in ways that say nothing of a mutant.
func TestJudge(t *testing.T) {
	failed := exec.Command("go", "no-such-command").Run()
	for _, tt := range []struct {
		name, output string
		err          error
		want         fate
	}{
		{"NoGo", "", exec.ErrNotFound, broken},
		{"Interrupted", "", context.Canceled, broken},
		{"OutOfMemory", "go: cannot allocate memory", failed, broken},
		{"Leak", "goroutines are left\nFAIL\ta\t0.1s\n", failed, killed},
		{"Deadlock", "fatal error: all goroutines are asleep - deadlock!\nFAIL\ta\t0.1s\n", failed, killed},
		{"SetupFailed", "FAIL\ta [setup failed]\n", failed, broken},
	} {
		if got := judge(tt.output, tt.err); got.fate != tt.want {
			t.Errorf("%s: %s: %s, want %s", tt.name, got.fate, got.text, tt.want)
		}
	}
	if !errors.As(failed, new(*exec.ExitError)) {
		t.Errorf("go has ended with %v", failed)
	}
}
