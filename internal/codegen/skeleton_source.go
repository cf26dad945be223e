package codegen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// userPackage is the Go package that the skeleton mode writes to, as the user has it.
type userPackage struct {
	dir      string
	fset     *token.FileSet
	files    []*userFile
	types    []*userType
	declared map[string]bool // names at package level
	claimed  map[string]bool // files that this run adds
}

// userType is a type that the user has declared, with its methods.
type userType struct {
	name    string
	file    *userFile
	decl    *ast.GenDecl
	embeds  []embedded
	asserts []string // interfaces that it is said to implement: import path, a dot, the name
	methods []*userMethod
	pkg     *userPackage
}

// embedded is a type that a struct embeds: import path, a dot, the name; without the path for one of the same package.
type embedded string

// readUserPackage parses the Go files in a directory. A directory that is not there yet is an empty package.
func readUserPackage(dir string, packageNames map[string]string) (*userPackage, error) {
	pkg := &userPackage{
		dir: dir, fset: token.NewFileSet(), declared: make(map[string]bool), claimed: make(map[string]bool),
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		syntax, err := parser.ParseFile(pkg.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("mend this file first, nothing has been written: %w", err)
		}
		pkg.files = append(pkg.files, &userFile{
			path: name, source: source, syntax: syntax, pkg: pkg, packageNames: packageNames,
		})
	}
	for _, file := range pkg.files {
		pkg.gatherDeclarations(file)
	}
	for _, file := range pkg.files {
		pkg.gatherMembers(file)
	}
	return pkg, nil
}

// gatherDeclarations notes the names and types that a file declares.
func (p *userPackage) gatherDeclarations(file *userFile) {
	for _, decl := range file.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				p.declared[decl.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						p.declared[name.Name] = true
					}
				case *ast.TypeSpec:
					p.declared[spec.Name.Name] = true
					if !ast.IsGenerated(file.syntax) { // Fakes and mocks implement servicers too, but are not the user's to fill in.
						p.types = append(p.types, &userType{
							name: spec.Name.Name, file: file, decl: decl, embeds: file.embeds(spec), pkg: p,
						})
					}
				}
			}
		}
	}
}

// gatherMembers notes the methods of the types, and what they are said to implement.
func (p *userPackage) gatherMembers(file *userFile) {
	for _, decl := range file.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if typ := p.typeByName(receiverType(decl)); typ != nil {
				typ.methods = append(typ.methods, &userMethod{decl.Name.Name, file, decl})
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if value, ok := spec.(*ast.ValueSpec); ok {
					p.gatherAssertion(file, value)
				}
			}
		}
	}
}

// gatherAssertion understands var _ pkg.Servicer = (*T)(nil), and the same with &T{}, T{} and new(T).
func (p *userPackage) gatherAssertion(file *userFile, spec *ast.ValueSpec) {
	if len(spec.Names) != 1 || spec.Names[0].Name != "_" || spec.Type == nil || len(spec.Values) != 1 {
		return
	}
	if typ := p.typeByName(assertedType(spec.Values[0])); typ != nil {
		typ.asserts = append(typ.asserts, file.canonical(spec.Type))
	}
}

func assertedType(value ast.Expr) string {
	switch value := value.(type) {
	case *ast.Ident:
		return value.Name
	case *ast.ParenExpr:
		return assertedType(value.X)
	case *ast.StarExpr:
		return assertedType(value.X)
	case *ast.UnaryExpr:
		return assertedType(value.X)
	case *ast.CompositeLit:
		return assertedType(value.Type)
	case *ast.CallExpr:
		if fun, ok := value.Fun.(*ast.Ident); ok && fun.Name == "new" && len(value.Args) == 1 {
			return assertedType(value.Args[0])
		}
		return assertedType(value.Fun)
	}
	return ""
}

func (p *userPackage) typeByName(name string) *userType {
	for _, typ := range p.types {
		if typ.name == name && name != "" {
			return typ
		}
	}
	return nil
}

// findServicer returns the type that implements a service: one that is asserted to, or that embeds the unimplemented
// base. Of several, it is the one with the most methods: the others will be built around it.
func (p *userPackage) findServicer(s *Service) *userType {
	var found *userType
	for _, typ := range p.types {
		isServicer := slices.Contains(typ.asserts, s.Generated(s.Servicer).canonical()) ||
			slices.Contains(typ.embeds, embedded(s.Generated(s.Unimplemented).canonical()))
		if isServicer && (found == nil || typ.count(s) > found.count(s)) {
			found = typ
		}
	}
	return found
}

// canonical is the symbol with its import path, which is the same in whatever file it is written.
func (s Symbol) canonical() string {
	if s.ImportPath == s.imports.self {
		return s.Name
	}
	return s.ImportPath + "." + s.Name
}

// count returns how many of a service's methods a type declares itself.
func (t *userType) count(s *Service) int {
	n := 0
	for _, m := range s.Methods {
		if t.method(m.Name) != nil {
			n++
		}
	}
	return n
}

func (t *userType) method(name string) *userMethod {
	for _, m := range t.methods {
		if m.name == name {
			return m
		}
	}
	return nil
}

// provides says whether a type has a method of the service, itself or from what it embeds. Of the unimplemented base
// nothing counts: what comes from there is what is missing.
func (t *userType) provides(m *Method) bool { return t.providesWithin(m, 8) }

// providesWithin goes no deeper than depth: types can embed each other's pointers in a circle.
func (t *userType) providesWithin(m *Method, depth int) bool {
	if t.method(m.Name) != nil {
		return true
	}
	wrapped := embedded(m.Service.Generated(m.Service.Servicer).canonical())
	for _, e := range t.embeds {
		if e == wrapped {
			return true
		}
		if inner := t.pkg.typeByName(string(e)); inner != nil && depth > 0 && inner.providesWithin(m, depth-1) {
			return true
		}
	}
	return false
}

// homeFile returns the file to which methods are added: the one that holds most of them, or else the type.
func (t *userType) homeFile(s *Service) *userFile {
	counts := make(map[*userFile]int)
	for _, m := range s.Methods {
		if own := t.method(m.Name); own != nil {
			counts[own.file]++
		}
	}
	home := t.file
	for _, file := range t.pkg.files {
		if counts[file] > counts[home] {
			home = file
		}
	}
	return home
}

// lastDeclaration returns the node in a file behind which new methods go: the last method, or else the type.
func (t *userType) lastDeclaration(file *userFile) ast.Node {
	var last ast.Node
	if t.file == file {
		last = t.decl
	}
	for _, m := range t.methods {
		if m.file == file && (last == nil || m.decl.Pos() > last.Pos()) {
			last = m.decl
		}
	}
	return last
}

// receiverName returns what the methods of the type call it, or a name that no import of the file has.
func (t *userType) receiverName(imports *importSet) string {
	for _, m := range t.methods {
		if names := m.decl.Recv.List[0].Names; len(names) == 1 && names[0].Name != "_" {
			return names[0].Name
		}
	}
	if imports.taken["s"] {
		return "servicer"
	}
	return "s"
}

func (p *userPackage) hasFile(name string) bool {
	if p.claimed[name] {
		return true
	}
	_, err := os.Stat(filepath.Join(p.dir, name))
	return err == nil
}

func (p *userPackage) claim(name string) { p.claimed[name] = true }

// name returns the name of the package: the one that its files have, or one made from the directory's.
func (p *userPackage) name() string {
	if len(p.files) > 0 {
		return p.files[0].syntax.Name.Name
	}
	return packageNameFor(p.dir)
}

// importPath returns the import path of the package, by the go.mod above it; without one it is unknown, and empty.
func (p *userPackage) importPath() string {
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return ""
	}
	for root := dir; ; root = filepath.Dir(root) {
		content, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			rest, err := filepath.Rel(root, dir)
			if err != nil {
				return ""
			}
			return path.Join(modulePath(string(content)), filepath.ToSlash(rest))
		}
		if root == filepath.Dir(root) {
			return ""
		}
	}
}

// modulePath reads the module directive of a go.mod.
func modulePath(content string) string {
	for line := range strings.SplitSeq(content, "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "module" {
			if unquoted, err := strconv.Unquote(fields[1]); err == nil {
				return unquoted
			}
			return fields[1]
		}
	}
	return ""
}
