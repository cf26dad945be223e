package skeleton

import (
	"fmt"
	"slices"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// Plan is what is to be written into a package.
type Plan struct {
	Notes []string // for the user, once everything is written

	pkg      *Package
	text     Text
	edits    map[*source.File]*source.Edit
	created  []createdFile
	newNames map[string]bool                  // of types that this run adds
	served   map[string][]*Service            // by the name of the type
	added    map[*build]map[methodKey]*Method // by this run
}

// createdFile is a file that is not there yet.
type createdFile struct {
	name    string
	content []byte
}

// methodKey identifies a method of a type.
type methodKey struct{ typ, name string }

// edit returns what is to be added to a file, as some build sees it.
func (p *Plan) edit(file *source.File, b *build) *source.Edit {
	if p.edits[file] == nil {
		p.edits[file] = source.NewEdit(file, p.pkg.imports(), b.importName)
	}
	return p.edits[file]
}

// signature returns the signature of a method as it reads in a file with the usual imports.
func (p *Plan) signature(m *Method) string { return p.text.Signature(m, p.pkg.imports()) }

// note has something to say to the user. It does not fail the run: other plugins in it have nothing to do with it. What
// holds in several builds is said once.
func (p *Plan) note(path string, line int, format string, args ...any) {
	position := path
	if line > 0 {
		position = fmt.Sprintf("%s:%d", path, line)
	}
	note := fmt.Sprintf("%s: %s", position, fmt.Sprintf(format, args...))
	if !slices.Contains(p.Notes, note) {
		p.Notes = append(p.Notes, note)
	}
}
