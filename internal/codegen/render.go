package codegen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
	"github.com/gogreeter/gogreeter/templates"
)

const (
	fileTemplate   = "file.go.tmpl"
	fakeTemplate   = "fake_file.go.tmpl"
	templateSuffix = ".go.tmpl"
)

// importBlock stands where the import block goes, until the rest of the file is there and has shown what it imports.
// No template and no .proto file can hold it: control characters do not get into a comment.
const importBlock = "\x00imports\x00"

// output is a file to be written.
type output struct {
	name    string // with / between directories
	content []byte
	file    *File
}

// job is what is done for each model: a template is applied to it.
type job struct {
	template string
	suffix   string // of the file's name
}

// render executes the templates. The files are spread over the processors; each model is used by one goroutine at a
// time, since it notes what its file imports.
func render(files []*File, o *options) ([]*output, error) {
	text, err := parseTemplates(o.templateDir, (&renderer{}).functions())
	if err != nil {
		return nil, err
	}
	outputs := make([][]*output, len(files))
	errs := make([]error, len(files))
	var wait sync.WaitGroup
	var next atomic.Int64 // index of the next file
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		worker, err := newRenderer(text)
		if err != nil {
			return nil, err
		}
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				outputs[i], errs[i] = worker.renderAll(files[i], text.jobs)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(outputs...), nil
}

// templateSet is the built-in templates with those of the user.
type templateSet struct {
	root *template.Template
	jobs []job
}

// parseTemplates reads the built-in templates, and then those in the user's directory, if there is one.
func parseTemplates(userDir string, functions template.FuncMap) (*templateSet, error) {
	text := &templateSet{
		root: template.New("").Funcs(functions),
		jobs: []job{{fileTemplate, "_gogreeter.pb.go"}, {fakeTemplate, "_gogreeter_fake.pb.go"}},
	}
	if _, err := text.root.ParseFS(templates.FS, "*"+templateSuffix); err != nil {
		return nil, err
	}
	if userDir != "" {
		if err := text.addUsers(userDir); err != nil {
			return nil, fmt.Errorf("option template_dir=%s: %w", userDir, err)
		}
	}
	return text, nil
}

// addUsers reads the templates in the user's directory, which replace built-in ones or write files of their own.
func (t *templateSet) addUsers(dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return errors.New("there is no such directory, seen from where protoc or buf runs")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+templateSuffix))
	if err != nil || len(names) == 0 {
		return fmt.Errorf("there is no *%s in it", templateSuffix)
	}
	for _, path := range names { // Glob sorts them.
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := filepath.Base(path)
		if _, err := t.root.New(name).Parse(string(content)); err != nil {
			return err
		}
		if _, err := fs.Stat(templates.FS, name); err == nil || strings.HasPrefix(name, "_") {
			continue // It replaces a built-in template, or holds definitions for others.
		}
		t.jobs = append(t.jobs, job{
			template: name,
			suffix:   "_gogreeter_" + strings.TrimSuffix(name, templateSuffix) + ".pb.go",
		})
	}
	return nil
}

// renderer executes templates for one file after the other.
type renderer struct {
	templates *template.Template
	file      *File // that is being written
}

func newRenderer(text *templateSet) (*renderer, error) {
	root, err := text.root.Clone()
	if err != nil {
		return nil, err
	}
	r := &renderer{templates: root}
	root.Funcs(r.functions())
	return r, nil
}

// functions are what templates can call; docs/generator.md describes them.
func (r *renderer) functions() template.FuncMap {
	return template.FuncMap{
		"import":  func(path string) string { return r.file.imports.Use(path) },
		"runtime": func() string { return r.file.imports.Use(gofile.RuntimePackage) },
		"imports": func() string { return importBlock },
		// The skeleton mode has its own; see skeleton.go.
		"skeleton": func() (any, error) { return nil, errors.New("skeleton: only in skeleton templates") },
	}
}

// renderAll writes the files that come out of one .proto file.
func (r *renderer) renderAll(file *File, jobs []job) ([]*output, error) {
	var outputs []*output
	for _, job := range jobs {
		if job.template == fileTemplate && !file.Servicers || job.template == fakeTemplate && !file.Fakes {
			continue
		}
		content, err := r.render(file, job.template)
		if err != nil {
			return nil, err
		}
		if len(content) > 0 {
			outputs = append(outputs, &output{file.prefix + job.suffix, content, file})
		}
	}
	return outputs, nil
}

// render executes a template and formats what comes out.
func (r *renderer) render(file *File, name string) ([]byte, error) {
	r.file = file
	file.imports.Reset()
	var buffer bytes.Buffer
	if err := r.templates.ExecuteTemplate(&buffer, name, file); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Source, err)
	}
	source := bytes.TrimSpace(buffer.Bytes())
	if len(source) == 0 {
		return nil, nil // A template may decide that there is nothing to write.
	}
	source = bytes.Replace(source, []byte(importBlock), []byte(file.imports.Block()), 1)
	source = append(source, '\n')
	formatted, err := format.Source(source)
	if err != nil {
		return nil, fmt.Errorf("%s: the template %s writes what is no Go code: %w\n%s",
			file.Source, name, err, numbered(source))
	}
	return formatted, nil
}

// numbered puts line numbers before the lines, for the author of a template to find the one with the error.
func numbered(source []byte) string {
	var b strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(source))
	lines.Buffer(nil, len(source)+1)
	for n := 1; lines.Scan(); n++ {
		fmt.Fprintf(&b, "%5d\t%s\n", n, lines.Bytes())
	}
	return b.String()
}
