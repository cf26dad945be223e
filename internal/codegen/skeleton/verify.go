package skeleton

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"maps"
	"path/filepath"
	"slices"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/typecheck"
)

// verify checks the package as it would be, in all builds. Mistakes that were there before don't count.
func (p *Plan) verify(edited map[*source.File][]byte) error {
	now, err := p.parse(edited)
	if err != nil {
		return err
	}
	for _, b := range p.pkg.builds {
		files := now.syntaxOf(b.Files)
		if err := p.pkg.listMore(b, importsOf(files)); err != nil {
			return err
		}
		plain := p.pkg.checkFiles(b, files)
		errs := plain.NewErrors(b.plain)
		tested := plain
		if len(errs) == 0 && len(b.Tests) > 0 {
			tested = p.pkg.checkFiles(b, now.syntaxOf(b.Files, b.Tests))
			errs = tested.NewErrors(b.tested)
		}
		if len(errs) == 0 && len(b.External) > 0 {
			errs = p.pkg.checkExternal(b, tested).NewErrors(p.pkg.checkExternal(b, b.tested))
		}
		if len(errs) > 0 {
			position := errs[0].Fset.PositionFor(errs[0].Pos, false)
			return fmt.Errorf("nothing has been written, since it would not compile (%s): %s:%d, as it would be: %s",
				b, position.Filename, position.Line, errs[0].Msg)
		}
		if err := p.verifyMethods(b, plain); err != nil {
			return err
		}
	}
	return nil
}

// result is the files that are to be written, parsed.
type result struct {
	edited  map[*source.File]*ast.File
	created []*ast.File
}

func (p *Plan) parse(edited map[*source.File][]byte) (*result, error) {
	r := &result{edited: make(map[*source.File]*ast.File)}
	for file, content := range edited {
		syntax, err := parser.ParseFile(p.pkg.cache.Fset, file.Path, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("cannot add to this file without breaking it, nothing has been written: %w", err)
		}
		r.edited[file] = syntax
	}
	for _, file := range p.created {
		syntax, err := parser.ParseFile(p.pkg.cache.Fset, filepath.Join(p.pkg.dir, file.name), file.content, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		r.created = append(r.created, syntax)
	}
	return r, nil
}

// syntaxOf returns the files as they would be, with those that are new.
func (r *result) syntaxOf(lists ...[]*source.File) []*ast.File {
	all := slices.Clone(r.created)
	for _, file := range slices.Concat(lists...) {
		all = append(all, cmp.Or(r.edited[file], file.Syntax))
	}
	return all
}

// verifyMethods finds methods that are added and are not those of the service: the package may have given a meaning of
// its own to a name such as error.
func (p *Plan) verifyMethods(b *build, now *typecheck.Checked) error {
	byName := func(a, b methodKey) int { return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.name, b.name)) }
	for _, key := range slices.SortedFunc(maps.Keys(p.added[b]), byName) {
		m := p.added[b][key]
		typ, ok := now.Package.Scope().Lookup(key.typ).(*types.TypeName)
		if !ok {
			continue
		}
		wanted := methodOf(b.wanted(now, m.Service), m.Name)
		object, _, _ := types.LookupFieldOrMethod(types.NewPointer(typ.Type()), true, now.Package, m.Name)
		if fn, ok := object.(*types.Func); !ok || wanted == nil || !types.Identical(fn.Signature(), wanted) {
			return fmt.Errorf("nothing has been written, since %s.%s would not be what %s has to be: %s (%s)",
				key.typ, m.Name, m.FullName, p.signature(m), b)
		}
	}
	return nil
}

// Mistakes returns what the type checker finds in the package as it is, in each build and with its tests. Where they are
// is left out: an edit moves them. It is for tests, which compare what it says before and after.
func (p *Plan) Mistakes() (all []string) {
	for _, b := range p.pkg.builds {
		checked := map[string]*typecheck.Checked{"plain": b.plain, "tested": b.tested, "external": p.pkg.checkExternal(b, b.tested)}
		for name, c := range checked {
			for _, err := range c.Errors {
				all = append(all, fmt.Sprint(b, name, typecheck.ErrorKey(err)))
			}
		}
	}
	return all
}
