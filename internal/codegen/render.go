package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"text/template"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/templates"
)

// importBlock stands where the import block goes, until the rest of the file is there and has shown what it imports.
const importBlock = "\x00imports\x00"

// renderer executes templates for one file after the other.
type renderer struct {
	templates *template.Template
	file      *File
}

func newRenderer() (*renderer, error) {
	r := &renderer{}
	root := template.New("").Funcs(template.FuncMap{
		"import":  func(path string) string { return r.file.imports.use(path) },
		"runtime": func() string { return r.file.imports.use(runtimePackage) },
		"imports": func() string { return importBlock },
	})
	root, err := root.ParseFS(templates.FS, "*.go.tmpl")
	r.templates = root
	return r, err
}

func (r *renderer) render(file *File, name string) ([]byte, error) {
	r.file = file
	file.imports.reset()
	var buffer bytes.Buffer
	if err := r.templates.ExecuteTemplate(&buffer, name, file); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Source, err)
	}
	source := bytes.Replace(buffer.Bytes(), []byte(importBlock), []byte(file.imports.block()), 1)
	return format.Source(source)
}

func render(files []*File, o *options) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	r, err := newRenderer()
	if err != nil {
		return nil, err
	}
	var out []*pluginpb.CodeGeneratorResponse_File
	for _, file := range files {
		content, err := r.render(file, "file.go.tmpl")
		if err != nil {
			return nil, err
		}
		out = append(out, &pluginpb.CodeGeneratorResponse_File{
			Name:    proto.String(file.prefix + "_gogreeter.pb.go"),
			Content: proto.String(string(content)),
		})
	}
	return out, nil
}
