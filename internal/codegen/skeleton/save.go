package skeleton

import (
	"fmt"
	"path/filepath"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// Save writes everything, or nothing if it would not compile, or if a file is not any more what was read.
func (p *Plan) Save() error {
	if len(p.edits) == 0 && len(p.created) == 0 {
		return nil
	}
	edited := make(map[*source.File][]byte)
	for file, edit := range p.edits {
		edited[file] = edit.Content()
	}
	if err := p.verify(edited); err != nil {
		return err
	}
	for file := range edited {
		if err := file.CheckUnchanged(); err != nil {
			return err
		}
	}
	return p.write(edited)
}

// write writes the files that are new before those that are replaced: they can fail only by what is there already.
func (p *Plan) write(edited map[*source.File][]byte) error {
	for _, file := range p.created {
		if err := source.Create(filepath.Join(p.pkg.absolute, file.name), file.content); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(p.pkg.dir, file.name), err)
		}
	}
	for _, file := range p.pkg.files {
		if content, ok := edited[file]; ok {
			if err := file.Replace(content); err != nil {
				return err
			}
		}
	}
	return nil
}
