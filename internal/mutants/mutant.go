package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is a mistake: a text in the source that is replaced by another.
type mutant struct {
	name       string // what goes wrong
	file       string // in the directory of the group
	old, new   string // old occurs once in the file
	tests      string // who has to notice: names of tests, separated by |
	in         string // the directory of their package; empty: that of the group
	equivalent string // why no test can notice; then the mutant is not run

	content string // of the file. Set by load.
	line    int    // where old begins. Set by load.
}

// group is the mutants of a directory, seen from the root of the repository.
type group struct {
	directory string
	mutants   []mutant
}

// groups are all mutants. Skeletons have a corpus of cases instead.
var groups = slices.Concat(transport, memory, work, core, account, protocols, companions, generator)

// load returns all mutants, with the content of their files.
func load() (all []*mutant, err error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	var errs []error
	names := make(map[string]bool)
	for _, g := range groups {
		for i := range g.mutants {
			m := g.mutants[i] // a copy
			if m.in == "" {
				m.in = g.directory
			}
			m.file = path.Join(g.directory, m.file)
			if err := m.read(root); err != nil {
				errs = append(errs, err)
			}
			if names[m.name] {
				errs = append(errs, fmt.Errorf("two mutants are called %q", m.name))
			}
			names[m.name] = true
			all = append(all, &m)
		}
	}
	return all, errors.Join(errs...)
}

// findRoot returns the root of the module, which the working directory is in.
func findRoot() (string, error) {
	directory, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory, nil
		}
		above := filepath.Dir(directory)
		if above == directory {
			return "", errors.New("there is no go.mod above the working directory")
		}
		directory = above
	}
	return "", err
}

// read reads the mutant's file, and finds the place.
func (m *mutant) read(root string) error {
	m.file = filepath.Join(root, filepath.FromSlash(m.file))
	m.in = filepath.Join(root, filepath.FromSlash(m.in))
	content, err := os.ReadFile(m.file)
	if err != nil {
		return err
	}
	m.content = string(content)
	if n := strings.Count(m.content, m.old); n != 1 {
		return fmt.Errorf("mutant %q: %s has %d times, not once:\n%s", m.name, m.file, n, m.old)
	}
	m.line = 1 + strings.Count(m.content[:strings.Index(m.content, m.old)], "\n")
	return nil
}

// changed returns the file's content with the mistake.
func (m *mutant) changed() string { return strings.Replace(m.content, m.old, m.new, 1) }

// where is the place of the mistake.
func (m *mutant) where() string {
	return fmt.Sprintf("%s/%s:%d", filepath.Base(filepath.Dir(m.file)), filepath.Base(m.file), m.line)
}

// testNames returns the names of the tests that have to notice.
func (m *mutant) testNames() []string { return strings.Split(m.tests, "|") }
