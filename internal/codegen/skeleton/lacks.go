package skeleton

import (
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// place returns the file to which a method is to be added, or nil if the type has it, or cannot have it.
func (p *Plan) place(t *servicer, m *Method) *source.File {
	if !p.lacks(t, m) {
		return nil
	}
	homes := slices.DeleteFunc(t.homes(m.Service), func(file *source.File) bool { return !p.fits(file, t, m) })
	if everywhere := slices.IndexFunc(homes, func(file *source.File) bool { return p.serves(file, t, m) }); everywhere >= 0 {
		return homes[everywhere]
	}
	if len(homes) > 0 {
		return homes[0]
	}
	p.note(t.file.Path, t.line(), "%s lacks %s on %s. Elsewhere, or in the tests, it has that method, and all its files "+
		"are in use there too: write it, in a file for that build", t.name(), m.Name, t.build)
	return nil
}

// lacks says whether a method is to be added to a type, and tells the user what only the user can change.
func (p *Plan) lacks(t *servicer, m *Method) bool {
	wanted := methodOf(t.build.wanted(t.build.plain, m.Service), m.Name)
	if first, ok := p.added[t.build][methodKey{t.name(), m.Name}]; ok {
		other := methodOf(t.build.wanted(t.build.plain, first.Service), m.Name)
		if wanted != nil && other != nil && !types.Identical(wanted, other) {
			p.noteDifference(t.named.Obj().Pos(), t, m)
		}
		return false
	}
	switch from, fn := t.provides(m.Name); from {
	case provided:
		if wanted != nil && !types.Identical(fn.Signature(), wanted) && isResolved(fn.Signature()) {
			p.noteDifference(fn.Pos(), t, m)
		}
	case fromBase:
		return t.main
	case missing:
		return t.main || t.asserted
	case underField:
		p.note(t.file.Path, t.line(), "%s has a field %s where %s needs a method: rename the field",
			t.name(), m.Name, m.FullName)
	case ambiguous:
		p.note(t.file.Path, t.line(), "%s has %s from several of the types that it embeds: write the method, "+
			"and call the one that is meant", t.name(), m.Name)
	}
	return false
}

// noteDifference tells of a method that is not the service's. It may be declared in another package: then the type is
// where the user has to look.
func (p *Plan) noteDifference(at token.Pos, t *servicer, m *Method) {
	file := p.pkg.fileOf(at)
	if file == nil {
		file, at = t.file, t.named.Obj().Pos()
	}
	p.note(file.Path, file.Line(at), "%s.%s has not the signature of %s, which is now %s", t.name(), m.Name, m.FullName, p.signature(m))
}

// isResolved says whether the type checker knows all types of a signature.
func isResolved(signature *types.Signature) bool {
	return !strings.Contains(types.TypeString(signature, nil), "invalid type")
}

// homes returns the files that a method may be added to, the best one first: the one that holds most of the service's
// methods, or else the type.
func (t *servicer) homes(s *Service) []*source.File {
	counts := map[*source.File]int{t.file: 1}
	for _, own := range t.methods {
		weight := 0
		if s.has(own.fn.Name()) {
			weight = 2
		}
		counts[own.file] += weight
	}
	var homes []*source.File
	for _, file := range t.build.Files {
		if _, ok := counts[file]; ok && !file.IsGenerated {
			homes = append(homes, file)
		}
	}
	slices.SortStableFunc(homes, func(a, b *source.File) int { return counts[b] - counts[a] })
	return homes
}

// serves says whether all builds that have to get a method from somewhere have a file. In one of some of them only, the
// others would need the method a second time.
func (p *Plan) serves(file *source.File, t *servicer, m *Method) bool {
	return !slices.ContainsFunc(p.pkg.builds, func(b *build) bool {
		if slices.Contains(b.Files, file) || p.added[b][methodKey{t.name(), m.Name}] != nil {
			return false
		}
		other := p.pkg.servicer(b, t.name())
		return other != nil && other.isToDo(m)
	})
}

// fits says whether a method can be in a file, whatever build uses it: in none of them the type may have it already.
func (p *Plan) fits(file *source.File, t *servicer, m *Method) bool {
	for _, b := range p.pkg.builds {
		if !slices.Contains(b.Files, file) {
			continue
		}
		other := p.pkg.servicer(b, t.name())
		if other == nil || other.named.TypeParams().Len() != t.named.TypeParams().Len() ||
			!other.isToDo(m) || p.added[b][methodKey{t.name(), m.Name}] != nil {
			return false
		}
		tested, _ := b.tested.Package.Scope().Lookup(t.name()).(*types.TypeName)
		if tested == nil {
			continue
		}
		if object, index, _ := types.LookupFieldOrMethod(types.NewPointer(tested.Type()), true, b.tested.Package, m.Name); object != nil && len(index) == 1 {
			return false
		}
	}
	return true
}
