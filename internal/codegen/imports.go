package codegen

import (
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// Symbol is something that a Go package declares. In a template it prints as the Go code that refers to it, and the
// file then imports the package.
type Symbol struct {
	Name       string
	ImportPath string

	imports *importSet
}

// String returns the Go code that refers to the symbol, and notes the import.
func (s Symbol) String() string {
	if s.ImportPath == s.imports.self {
		return s.Name
	}
	return s.imports.use(s.ImportPath) + "." + s.Name
}

func (f *File) symbol(ident protogen.GoIdent) Symbol {
	return Symbol{ident.GoName, string(ident.GoImportPath), f.imports}
}

// importSet gathers the packages that a generated file refers to, and gives each of them a name within that file.
type importSet struct {
	self  string            // import path of the generated file itself
	names map[string]string // import path -> name
	taken map[string]bool   // names that are in use

	// packageNames holds what the packages of the request call themselves. It is shared between files.
	packageNames map[string]string

	// avoided holds names that the package around the file declares. Generated packages have none: there, the fixed
	// imports have their fixed names.
	avoided map[string]bool
}

// fixedImports are what the built-in templates refer to. Their names are kept for them, so that generated code always
// reads alike.
var fixedImports = map[string]string{
	"context":                       "context",
	"errors":                        "errors",
	"iter":                          "iter",
	"slices":                        "slices",
	"sync":                          "sync",
	"google.golang.org/grpc/codes":  "codes",
	"google.golang.org/grpc/status": "status",
	runtimePackage:                  "runtime",
}

// localNames are names of parameters and variables in the built-in templates: a package of that name would be hidden.
var localNames = []string{
	"ctx", "request", "requests", "replies", "servicer", "server", "fake", "recorder", "index", "call", "r", "err",
}

func newImportSet(self string, packageNames map[string]string) *importSet {
	return &importSet{
		self:         self,
		names:        make(map[string]string),
		taken:        make(map[string]bool),
		packageNames: packageNames,
	}
}

// use returns the name by which the file refers to a package.
func (s *importSet) use(importPath string) string {
	if name, ok := s.names[importPath]; ok {
		return name
	}
	name, fixed := fixedImports[importPath]
	if !fixed || s.avoided[name] || s.taken[name] {
		packageName := s.packageName(importPath)
		name = packageName
		for i := 1; !s.isFree(name); i++ {
			name = fmt.Sprint(packageName, i)
		}
	}
	s.names[importPath] = name
	s.taken[name] = true
	return name
}

func (s *importSet) isFree(name string) bool {
	return !s.taken[name] && !s.avoided[name] && !reservedNames[name]
}

// avoid keeps names from being given to packages.
func (s *importSet) avoid(names ...map[string]bool) {
	s.avoided = make(map[string]bool)
	for _, set := range names {
		maps.Copy(s.avoided, set)
	}
}

// reservedNames are those that a package must not get within a generated file.
var reservedNames = func() map[string]bool {
	reserved := make(map[string]bool)
	for _, name := range fixedImports {
		reserved[name] = true
	}
	for _, name := range localNames {
		reserved[name] = true
	}
	for _, name := range types.Universe.Names() {
		reserved[name] = true
	}
	return reserved
}()

// reset forgets what has been used, for the next file that is written from the same model.
func (s *importSet) reset() {
	clear(s.names)
	clear(s.taken)
}

// block returns the import declaration, the standard library's packages apart from the others.
func (s *importSet) block() string {
	if len(s.names) == 0 {
		return ""
	}
	var standard, others []string
	for importPath, name := range s.names {
		spec := fmt.Sprintf("%q", importPath)
		if name != lastElement(importPath) || !s.isKnown(importPath) || name != s.packageName(importPath) {
			spec = name + " " + spec
		}
		if first, _, _ := strings.Cut(importPath, "/"); strings.Contains(first, ".") {
			others = append(others, spec)
		} else {
			standard = append(standard, spec)
		}
	}
	var b strings.Builder
	b.WriteString("\nimport (\n")
	for i, group := range [][]string{standard, others} {
		slices.SortFunc(group, func(a, b string) int { return strings.Compare(quoted(a), quoted(b)) })
		if i > 0 && len(standard) > 0 && len(others) > 0 {
			b.WriteString("\n")
		}
		for _, spec := range group {
			b.WriteString("\t" + spec + "\n")
		}
	}
	b.WriteString(")\n")
	return b.String()
}

// quoted cuts the name off an import spec.
func quoted(spec string) string { return spec[strings.Index(spec, `"`):] }

// isKnown says whether packageName tells what a package calls itself, rather than what is likely. Where it is not known
// the import has to give a name, which then is right in any case.
func (s *importSet) isKnown(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return s.packageNames[importPath] != "" || fixedImports[importPath] != "" || standardLibrary[first]
}

// standardLibrary is the first elements of its import paths. Modules cannot begin with them.
var standardLibrary = func() map[string]bool {
	known := make(map[string]bool)
	const all = "archive bufio bytes cmp compress container context crypto database debug embed encoding errors expvar flag " +
		"fmt go hash html image index io iter log maps math mime net os path plugin reflect regexp runtime slices sort " +
		"strconv strings structs sync syscall testing text time unicode unique unsafe weak"
	for _, first := range strings.Fields(all) {
		known[first] = true
	}
	return known
}()

// packageName returns what a package calls itself; for one that is not in the request, what its import path suggests.
func (s *importSet) packageName(importPath string) string {
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

// withoutVersion cuts off the major version that a path has from the second on, as in example.com/user/v2 and
// gopkg.in/user.v2: no package is called that.
func withoutVersion(importPath string) string {
	before, last := path.Split(importPath)
	if before != "" && isVersionElement(last) {
		return strings.TrimSuffix(before, "/")
	}
	if i := strings.LastIndexByte(last, '.'); i > 0 && isVersionElement(last[i+1:]) {
		return before + last[:i]
	}
	return importPath
}

func isVersionElement(element string) bool {
	digits, ok := strings.CutPrefix(element, "v")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// lastElement is what Go takes for the name of a package whose source it has not read.
func lastElement(importPath string) string {
	return importPath[strings.LastIndex(importPath, "/")+1:]
}
