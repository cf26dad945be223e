package codegen

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// generatedPackages returns what the plugin generates for the files, by import path, with the messages that it needs.
func generatedPackages(files []*File, o *options, cache *packageCache) (map[string]*addedPackage, error) {
	wanted := *o
	wanted.parts = map[part]bool{partServicers: true, partRegistrars: true}
	for _, file := range files {
		file.Servicers, file.Registrars, file.Fakes = true, true, false
	}
	outputs, err := render(files, &wanted)
	if err != nil {
		return nil, err
	}
	added := make(map[string]*addedPackage)
	in := func(importPath, name string) *addedPackage {
		if added[importPath] == nil {
			added[importPath] = &addedPackage{name: name, declares: make(map[string]bool)}
		}
		return added[importPath]
	}
	for _, output := range outputs {
		syntax, err := parser.ParseFile(cache.fset, output.name, output.content, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		pkg := in(output.file.ImportPath, output.file.PackageName)
		pkg.files = append(pkg.files, syntax)
		maps.Copy(pkg.declares, declarations(syntax))
	}
	for _, file := range files {
		for _, service := range file.Services {
			for _, m := range service.Methods {
				for _, message := range []Symbol{m.Request, m.Response} {
					pkg := in(message.ImportPath, file.imports.packageName(message.ImportPath))
					if !slices.Contains(pkg.messages, message.Name) {
						pkg.messages = append(pkg.messages, message.Name)
					}
				}
			}
		}
	}
	return added, nil
}

// save writes everything, or nothing if it would not compile, or if a file is not any more what was read.
func (w *skeletonWriter) save() error {
	edited := make(map[*userFile][]byte)
	for _, file := range w.pkg.files {
		if len(file.insertions) > 0 {
			file.insertImports(w.pkg.buildOf(file))
			edited[file] = file.edited()
		}
	}
	if len(edited) == 0 && len(w.created) == 0 {
		return nil
	}
	if err := w.verify(edited); err != nil {
		return err
	}
	for file := range edited {
		if err := file.checkUnchanged(); err != nil {
			return err
		}
	}
	for _, file := range w.created {
		if err := createFile(filepath.Join(w.pkg.absolute, file.name), file.content); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(w.pkg.dir, file.name), err)
		}
	}
	for _, file := range w.pkg.files {
		if content, ok := edited[file]; ok {
			if err := file.replace(content); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *userPackage) buildOf(file *userFile) *userBuild {
	for _, b := range p.builds {
		if slices.Contains(b.files, file) {
			return b
		}
	}
	return p.builds[0]
}

// verify checks the package as it would be, in all builds. Mistakes that were there before don't count.
func (w *skeletonWriter) verify(edited map[*userFile][]byte) error {
	parsed := make(map[*userFile]*ast.File)
	for file, content := range edited {
		syntax, err := parser.ParseFile(w.pkg.cache.fset, file.path, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("cannot add to this file without breaking it, nothing has been written: %w", err)
		}
		parsed[file] = syntax
	}
	var created []*ast.File
	for _, file := range w.created {
		syntax, err := parser.ParseFile(w.pkg.cache.fset, filepath.Join(w.pkg.dir, file.name), file.content, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		created = append(created, syntax)
	}
	now := func(files []*userFile) []*ast.File {
		all := slices.Clone(created)
		for _, file := range files {
			if syntax, ok := parsed[file]; ok {
				all = append(all, syntax)
			} else {
				all = append(all, file.syntax)
			}
		}
		return all
	}
	for _, b := range w.pkg.builds {
		plain := w.pkg.checkFiles(b, now(b.files))
		errs := plain.newErrors(b.plain)
		tested := plain
		if len(errs) == 0 && len(b.tests) > 0 {
			tested = w.pkg.checkFiles(b, now(slices.Concat(b.files, b.tests)))
			errs = tested.newErrors(b.tested)
		}
		if len(errs) == 0 && len(b.external) > 0 {
			errs = w.pkg.checkExternal(b, tested).newErrors(w.pkg.checkExternal(b, b.tested))
		}
		if len(errs) > 0 {
			return w.explain(b, errs[0])
		}
		if err := w.verifyMethods(b, plain); err != nil {
			return err
		}
	}
	return nil
}

func (w *skeletonWriter) explain(b *userBuild, err types.Error) error {
	position := err.Fset.PositionFor(err.Pos, false)
	return fmt.Errorf("nothing has been written, since it would not compile (%s): %s:%d, as it would be: %s",
		b, position.Filename, position.Line, err.Msg)
}

// verifyMethods finds methods that are added and are not those of the service: the package may have given a meaning of
// its own to a name such as error.
func (w *skeletonWriter) verifyMethods(b *userBuild, now *checkedPackage) error {
	for _, name := range slices.Sorted(maps.Keys(b.added)) {
		added := b.added[name]
		typ, ok := now.pkg.Scope().Lookup(added.typ).(*types.TypeName)
		if !ok {
			continue
		}
		wanted := methodOf(w.pkg.wanted(b, now, added.method.Service), added.method.Name)
		object, _, _ := types.LookupFieldOrMethod(types.NewPointer(typ.Type()), true, now.pkg, added.method.Name)
		if fn, ok := object.(*types.Func); !ok || wanted == nil || !types.Identical(fn.Signature(), wanted) {
			return fmt.Errorf("nothing has been written, since %s.%s would not be what %s has to be: %s (%s)",
				added.typ, added.method.Name, added.method.FullName, w.signature(added.method), b)
		}
	}
	return nil
}

// checkUnchanged fails if a file is not any more what was read.
func (f *userFile) checkUnchanged() error {
	path := filepath.Join(f.pkg.absolute, f.name)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("nothing has been written: %w", err)
	}
	if info.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s cannot be written to: %w", f.path, fs.ErrPermission)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, f.source) {
		return errors.Join(fmt.Errorf("%s has changed since it was read: run this again (with buf, strategy: all keeps "+
			"two runs from writing to one directory at a time)", f.path), err)
	}
	return nil
}

// createFile writes a file that must not be there yet.
func createFile(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err := writeAndClose(file, content); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func writeAndClose(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// replace puts new content in the place of a file, at once: whoever reads it finds all of the one or of the other.
func (f *userFile) replace(content []byte) error {
	path, err := filepath.EvalSymlinks(filepath.Join(f.pkg.absolute, f.name))
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".gogreeter-*.tmp")
	if err != nil {
		return err
	}
	err = errors.Join(keepOwner(temporary, info), temporary.Chmod(info.Mode().Perm()), writeAndClose(temporary, content))
	if err == nil {
		err = f.moveIn(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// moveIn gives another file the path of this one, if this is still what was read. Another run does not come in between.
func (f *userFile) moveIn(temporary, path string) error {
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = f.checkUnchanged()
	if err == nil {
		err = os.Rename(temporary, path)
	}
	return errors.Join(err, unlock())
}
