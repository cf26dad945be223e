package skeleton

import (
	"fmt"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// Implement decides what is to be written for the services, and what the user is to be told.
func (p *Package) Implement(services []*Service, text Text) (*Plan, error) {
	plan := &Plan{
		pkg: p, text: text, edits: make(map[*source.File]*source.Edit), newNames: make(map[string]bool),
		served: make(map[string][]*Service), added: make(map[*build]map[methodKey]*Method),
	}
	for _, b := range p.builds {
		plan.added[b] = make(map[methodKey]*Method)
	}
	for _, s := range services {
		if err := plan.implement(s); err != nil {
			return nil, fmt.Errorf("skeleton of %s: %w", s.FullName, err)
		}
	}
	plan.noteGone()
	return plan, nil
}

// implement completes the types that implement a service, in each build, or has a new one written if there are none.
func (p *Plan) implement(s *Service) error {
	found := false
	for _, b := range p.pkg.builds {
		servicers, elsewhere := p.pkg.servicers(b, s)
		found = found || len(servicers) > 0 || elsewhere != ""
		if len(servicers) == 0 && elsewhere != "" {
			p.note(p.pkg.dir, 0, "%s is implemented by %s, which is not this package's to complete: "+
				"name the directory of that package", s.FullName, elsewhere)
		}
		for _, t := range servicers {
			if err := p.complete(s, t); err != nil {
				return err
			}
		}
	}
	if found {
		return nil
	}
	return p.create(s)
}
