package gofile

import (
	"fmt"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Imports gathers the packages that a file refers to, and gives each of them a name within that file.
type Imports struct {
	self  string            // import path of the file's own package
	names map[string]string // import path -> name
	taken map[string]bool   // names that are in use

	// packageNames holds what the packages of the request call themselves. It is shared between files.
	packageNames map[string]string

	// avoided holds names that the package around the file declares. Generated packages have none: there, the fixed
	// imports have their fixed names.
	avoided map[string]bool
}

// NewImports returns the imports of a file that has none yet, in the package self.
func NewImports(self string, packageNames map[string]string) *Imports {
	return &Imports{
		self:         self,
		names:        make(map[string]string),
		taken:        make(map[string]bool),
		packageNames: packageNames,
		avoided:      make(map[string]bool),
	}
}

// Qualify returns the Go code that refers to what a package declares, and notes the import.
func (s *Imports) Qualify(importPath, name string) string {
	if importPath == s.self {
		return name
	}
	return s.Use(importPath) + "." + name
}

// Use returns the name by which the file refers to a package.
func (s *Imports) Use(importPath string) string {
	if name, ok := s.names[importPath]; ok {
		return name
	}
	name, fixed := fixedImports[importPath]
	if !fixed || s.avoided[name] || s.taken[name] {
		packageName := s.PackageName(importPath)
		name = packageName
		for i := 1; !s.isFree(name); i++ {
			name = fmt.Sprint(packageName, i)
		}
	}
	s.names[importPath] = name
	s.taken[name] = true
	return name
}

func (s *Imports) isFree(name string) bool {
	return !s.taken[name] && !s.avoided[name] && !reservedNames[name]
}

// PackageNames returns what the packages of the request call themselves, by import path.
func (s *Imports) PackageNames() map[string]string { return s.packageNames }

// IsTaken says whether the file has given a name to a package.
func (s *Imports) IsTaken(name string) bool { return s.taken[name] }

// Avoid keeps names from being given to packages.
func (s *Imports) Avoid(names ...map[string]bool) {
	for _, set := range names {
		maps.Copy(s.avoided, set)
	}
}

// Keep enters an import that the file has already. Code that is added to it uses the package by that name too, unless a
// parameter or a variable there may hide it.
func (s *Imports) Keep(importPath, name string) {
	s.taken[name] = true
	if !slices.Contains(localNames, name) || s.isForSignatures(importPath) {
		s.names[importPath] = name
	}
}

// isForSignatures says whether a package is only needed outside of bodies, where parameters don't hide its name.
func (s *Imports) isForSignatures(importPath string) bool {
	_, isMessages := s.packageNames[importPath]
	return isMessages || importPath == "context" || importPath == RuntimePackage
}

// Reset forgets what has been used, for the next file that is written from the same model.
func (s *Imports) Reset() {
	clear(s.names)
	clear(s.taken)
}

// Block returns the import declaration, the standard library's packages apart from the others.
func (s *Imports) Block() string {
	if len(s.names) == 0 {
		return ""
	}
	var groups [2]string // of the standard library, and of others
	for _, spec := range s.Specs(func(string, string) bool { return true }) {
		group := 0
		if first, _, _ := strings.Cut(spec, "/"); strings.Contains(first, ".") {
			group = 1
		}
		groups[group] += "\t" + spec + "\n"
	}
	if groups[0] != "" && groups[1] != "" {
		groups[0] += "\n"
	}
	return "\nimport (\n" + groups[0] + groups[1] + ")\n"
}

// Specs returns what import declarations say of the packages that are wanted, in the order of their paths. Where a name
// is not sure to be the package's own it is given, which then is right in any case.
func (s *Imports) Specs(wanted func(importPath, name string) bool) (specs []string) {
	for _, importPath := range slices.Sorted(maps.Keys(s.names)) {
		name := s.names[importPath]
		spec := strconv.Quote(importPath)
		if name != lastElement(importPath) || !s.isKnown(importPath) || name != s.PackageName(importPath) {
			spec = name + " " + spec
		}
		if wanted(importPath, name) {
			specs = append(specs, spec)
		}
	}
	return specs
}

// isKnown says whether PackageName tells what a package calls itself, rather than what is likely.
func (s *Imports) isKnown(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return s.packageNames[importPath] != "" || fixedImports[importPath] != "" || standardLibrary[first]
}

// PackageName returns what a package calls itself; for one that is not in the request, what its import path suggests.
func (s *Imports) PackageName(importPath string) string {
	if name, ok := s.packageNames[importPath]; ok {
		return name
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, lastElement(withoutVersion(importPath)))
	if !token.IsIdentifier(name) || name == "_" {
		name = "_" + name
	}
	return name
}
