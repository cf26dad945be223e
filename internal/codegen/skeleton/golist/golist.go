// Package golist asks the go command about a package in the user's module: where it belongs, for which platform it is
// built here, and what it imports. The go command only ever lists: nothing is built, and no go.mod or go.sum is written.
package golist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Command is the go command in the directory of a package.
type Command struct {
	dir       string   // absolute
	moduleDir string   // with the go.mod
	flags     []string // of go list
	scratch   string   // directory with copies of go.mod and go.sum, or empty
	outputs   map[string][]byte
}

// module is the module around the user's package.
type module struct {
	Path, Dir, GoMod, GoVersion string
}

// Package is a package as go list describes it.
type Package struct {
	ImportPath, Dir, Name      string
	GoFiles, CgoFiles, Imports []string
	ImportMap                  map[string]string
	Standard                   bool
	Module                     *struct {
		Main    bool
		Replace *struct{ Version string }
	}
}

// New finds the go command, and what it takes to keep it from writing. If outputs is not nil, what the
// command has answered is kept there, and not asked again: for packages of one module that stays as it is.
func New(dir string, outputs map[string][]byte) (*Command, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("the skeleton mode asks the go command about the package in %s: put it on the PATH (%w)", dir, err)
	}
	g := &Command{dir: dir, outputs: outputs}
	output, err := g.run(nil, "env", "-json", "GOMOD", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	var env struct{ GOMOD, GOFLAGS string }
	if err := json.Unmarshal(output, &env); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if env.GOMOD == "" {
		return nil, fmt.Errorf("GO111MODULE=off keeps the go command from using modules, and %s has to be in one: unset it", dir)
	}
	if env.GOMOD == os.DevNull {
		return nil, fmt.Errorf("%s is in no Go module: run go mod init in the top directory of yours, or name a directory in it", dir)
	}
	g.moduleDir = filepath.Dir(env.GOMOD)
	if err := g.protectModule(env.GOMOD, strings.Fields(env.GOFLAGS)); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// protectModule has the go command work on a copy of go.mod where GOFLAGS lets it write to go.mod.
func (g *Command) protectModule(goMod string, goFlags []string) error {
	goMod, writes := g.readFlags(goMod, goFlags)
	if !writes {
		return nil
	}
	var err error
	if g.scratch, err = os.MkdirTemp("", "gogreeter"); err != nil {
		return err
	}
	for _, suffix := range []string{".mod", ".sum"} {
		content, err := os.ReadFile(strings.TrimSuffix(goMod, ".mod") + suffix)
		if errors.Is(err, os.ErrNotExist) && suffix == ".sum" {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(g.scratch, "go"+suffix), content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	g.flags = []string{"-modfile=" + filepath.Join(g.scratch, "go.mod")}
	return nil
}

// readFlags returns what GOFLAGS makes of go.mod: which file it is, and whether the go command may write to it.
func (g *Command) readFlags(goMod string, goFlags []string) (file string, writes bool) {
	for _, flag := range goFlags {
		name, value, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		switch {
		case name == "mod":
			writes = value == "mod"
		case name == "modfile" && filepath.IsAbs(value):
			goMod = value
		case name == "modfile":
			goMod = filepath.Join(g.dir, value)
		}
	}
	return goMod, writes
}

// Close removes what the command has needed on disk.
func (g *Command) Close() error {
	if g.scratch == "" {
		return nil
	}
	return os.RemoveAll(g.scratch)
}

// run runs the go command in the user's directory, with more environment.
func (g *Command) run(env []string, args ...string) ([]byte, error) {
	key := fmt.Sprint(env, args)
	if output, ok := g.outputs[key]; ok {
		return output, nil
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(cmd.Environ(), env...) // with PWD, by which the go command names directories behind symbolic links
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s in %s: %w\n%s", args[0], g.dir, err, bytes.TrimSpace(stderr.Bytes()))
	}
	if g.outputs != nil {
		g.outputs[key] = stdout.Bytes()
	}
	return stdout.Bytes(), nil
}

func (g *Command) list(env []string, args ...string) ([]byte, error) {
	// The detectors that GOFLAGS may ask for don't exist for all builds.
	flags := append([]string{"list", "-e", "-race=false", "-msan=false", "-asan=false"}, g.flags...)
	return g.run(env, append(flags, args...)...)
}

// findModule returns the module that the directory is in. In a workspace there are several.
func (g *Command) findModule() (*module, error) {
	output, err := g.list(nil, "-m", "-json=Path,Dir,GoMod,GoVersion")
	if err != nil {
		return nil, err
	}
	modules, err := decodeAll[module](output)
	if err != nil {
		return nil, err
	}
	for _, module := range modules {
		if module.Dir == g.moduleDir {
			return module, nil
		}
	}
	return nil, fmt.Errorf("%s is in no module of the Go workspace: run go work use, or name a directory of one that is", g.dir)
}

// importPath returns the import path of the user's directory.
func (m *module) importPath(dir string) (string, error) {
	rest, err := filepath.Rel(m.Dir, dir)
	return path.Join(m.Path, filepath.ToSlash(rest)), err
}

// Packages lists packages with all that they import in some configuration, by import path.
func (g *Command) Packages(c Config, importPaths []string) (map[string]*Package, error) {
	args := []string{
		"-deps", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,Imports,ImportMap,Standard,Module",
		"-tags=" + strings.Join(c.Tags, ","), "--",
	}
	output, err := g.list(c.env(), append(args, importPaths...)...)
	if err != nil {
		return nil, err
	}
	all, err := decodeAll[Package](output)
	if err != nil {
		return nil, err
	}
	byPath := make(map[string]*Package)
	for _, pkg := range all {
		byPath[pkg.ImportPath] = pkg
	}
	return byPath, nil
}

// IsReached says whether packages import another one, by whatever way.
func IsReached(listed map[string]*Package, from []string, wanted string) bool {
	if listed[wanted] == nil {
		return false
	}
	seen := make(map[string]bool)
	for len(from) > 0 {
		importPath := from[len(from)-1]
		from = from[:len(from)-1]
		if seen[importPath] {
			continue
		}
		seen[importPath] = true
		if pkg := listed[importPath]; pkg != nil {
			if slices.Contains(pkg.Imports, wanted) {
				return true
			}
			from = append(from, pkg.Imports...)
		}
	}
	return false
}

// Resolve returns the path of the package that is meant by an import: the standard library has copies of others.
func (p *Package) Resolve(importPath string) string {
	if p != nil {
		if mapped, ok := p.ImportMap[importPath]; ok {
			return mapped
		}
	}
	return importPath
}

// decodeAll reads one JSON value after the other.
func decodeAll[T any](output []byte) (all []*T, err error) {
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		value := new(T)
		if err := decoder.Decode(value); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, value)
	}
}
