package skeleton

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// create has a file written with a new implementation.
func (p *Plan) create(s *Service) error {
	name, err := p.newName(s)
	if err != nil {
		return err
	}
	file, err := p.newFile(name, s)
	if err != nil {
		return err
	}
	p.newNames[name] = true
	imports := p.pkg.imports()
	imports.Avoid(p.newNames)
	content, err := p.text.File(s, Implementation{p.pkg.name, name, "s", "*" + name}, imports)
	if err != nil {
		return err
	}
	p.created = append(p.created, createdFile{file, content})
	p.note(filepath.Join(p.pkg.dir, file), 0, "%s is a new implementation of %s to fill in", name, s.FullName)
	return nil
}

// newName returns a name for the type that no build of the package uses.
func (p *Plan) newName(s *Service) (string, error) {
	for _, name := range []string{s.Name, s.Servicer} {
		if !p.pkg.taken[name] && !p.newNames[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("the package in %s declares both %s and %s for something else: "+
		"give the service another name in Go with the option rename=%s:NAME",
		p.pkg.dir, s.Name, s.Servicer, s.FullName)
}

// newFile returns the name of a file that is not there, for a type.
func (p *Plan) newFile(typ string, s *Service) (name string, err error) {
	for _, suffix := range []string{".go", "_servicer.go"} {
		name = snakeCase(typ) + suffix
		if !p.pkg.hasFile(name) && !slices.ContainsFunc(p.created, func(f createdFile) bool { return f.name == name }) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s exists, and does not implement %s: rename it, "+
		"or declare in it which type is the servicer: var _ %s.%s = (*YourType)(nil)",
		filepath.Join(p.pkg.dir, name), s.Servicer, s.PackageName, s.Servicer)
}

// snakeCase turns a Go name into a file name: HTTPGreeter becomes http_greeter.
func snakeCase(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && runes[i-1] != '_' &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	trimmed := strings.TrimRight(b.String(), "_")
	if strings.HasSuffix(trimmed, "_test") || gofile.PlatformOf(trimmed) != "" {
		return trimmed + "_servicer" // It would be built for tests only, or for some platform.
	}
	return trimmed
}
