// Command api lists the exported API of the published modules in api/*.txt, a line for each thing that can be used, as Go's own
// api directory does. What disappears from there breaks its users, so a change of these files is what to look at in a review.
//
// It is what `make api` runs, from the top of the repository; its test, a part of `make test`, compares.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const root = "github.com/gogreeter/gogreeter"

// modules are the directories of the published modules, by the file that lists their API.
var modules = map[string]string{
	"gogreeter.txt": ".",
	"validate.txt":  "runtime/interceptor/validate",
}

func main() {
	for file, module := range modules {
		lines, err := list(module)
		if err == nil {
			err = os.WriteFile(filepath.Join("api", file), []byte(strings.Join(lines, "\n")+"\n"), 0o666)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "api:", err)
			os.Exit(1)
		}
	}
}

// list returns the API of the module in a directory.
func list(module string) ([]string, error) {
	public, export, err := load(module)
	if err != nil {
		return nil, err
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(export[path]) }
	imports := importer.ForCompiler(token.NewFileSet(), "gc", lookup)
	l := &lister{}
	for _, path := range public {
		pkg, err := imports.Import(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		l.list(pkg)
	}
	slices.Sort(l.lines)
	return slices.Compact(l.lines), nil
}

// load returns the paths of the packages that others may use, and the files with the export data of these and of all that they
// import.
func load(module string) (public []string, export map[string]string, err error) {
	command := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Name}}\t{{.DepOnly}}\t{{.Export}}", "./...")
	command.Dir, command.Stderr = module, os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("%v in %s: %w", command, module, err)
	}
	export = make(map[string]string)
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		path, name, dependency := fields[0], fields[1], fields[2] == "true"
		export[path] = fields[3]
		if !dependency && name != "main" && fields[3] != "" && isPublic(path) { // which has none if it has only tests
			public = append(public, path)
		}
	}
	return public, export, nil
}

// isPublic reports whether others may import a package of this repository, and should: not those of the examples.
func isPublic(path string) bool {
	elements := strings.Split(path, "/")
	return !slices.Contains(elements, "internal") && !slices.Contains(elements, "example")
}

// lister gathers lines.
type lister struct {
	pkg   *types.Package
	lines []string
}

func (l *lister) add(format string, args ...any) {
	name := cmp.Or(strings.TrimPrefix(l.pkg.Path(), root+"/"), "gogreeter")
	l.lines = append(l.lines, "pkg "+name+", "+fmt.Sprintf(format, args...))
}

// text returns a type as the package itself would write it; packages of this repository and others go by their path.
func (l *lister) text(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == l.pkg {
			return ""
		}
		return strings.TrimPrefix(p.Path(), root+"/")
	})
}

// list adds what a package exports. A package without anything adds a line too.
func (l *lister) list(pkg *types.Package) {
	l.pkg = pkg
	before := len(l.lines)
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.Const:
			l.add("const %s %s = %s", name, l.text(object.Type()), object.Val())
		case *types.Var:
			l.add("var %s %s", name, l.text(object.Type()))
		case *types.Func:
			l.add("func %s%s", name, strings.TrimPrefix(l.text(object.Type()), "func"))
		case *types.TypeName:
			l.typeName(object)
		}
	}
	if len(l.lines) == before {
		l.add("exports nothing")
	}
}

func (l *lister) typeName(object *types.TypeName) {
	named, ok := object.Type().(*types.Named)
	if object.IsAlias() || !ok {
		l.add("type %s = %s", object.Name(), l.text(types.Unalias(object.Type())))
		return
	}
	name := object.Name()
	parameters := strings.TrimPrefix(l.text(named), name)
	switch t := named.Underlying().(type) {
	case *types.Struct:
		l.add("type %s%s struct", name, parameters)
		for i := range t.NumFields() {
			if f := t.Field(i); f.Exported() {
				l.add("type %s struct, %s %s", name, f.Name(), l.text(f.Type()))
			}
		}
	case *types.Interface:
		l.add("type %s%s interface", name, parameters)
		for i := range t.NumMethods() {
			if m := t.Method(i); m.Exported() {
				l.add("type %s interface, %s%s", name, m.Name(), strings.TrimPrefix(l.text(m.Type()), "func"))
			} else {
				l.add("type %s interface, unexported methods", name)
			}
		}
		return
	default:
		l.add("type %s%s %s", name, parameters, l.text(t))
	}
	for method := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		if f := method.Obj().(*types.Func); f.Exported() {
			receiver := "*" + name
			if types.NewMethodSet(named).Lookup(l.pkg, f.Name()) != nil {
				receiver = name
			}
			l.add("method (%s) %s%s", receiver, f.Name(), strings.TrimPrefix(l.text(f.Type()), "func"))
		}
	}
}
