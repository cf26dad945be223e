package golist

import (
	"fmt"
	"go/build"
	"strings"
)

// Config is a build configuration: what decides which files belong to a package.
type Config struct {
	GOOS, GOARCH string
	Cgo          bool
	Tags         []string
}

// env is the environment in which the go command sees this configuration.
func (c Config) env() []string {
	cgo := "0"
	if c.Cgo {
		cgo = "1"
	}
	return []string{"GOOS=" + c.GOOS, "GOARCH=" + c.GOARCH, "CGO_ENABLED=" + cgo}
}

// Basis is what the go command says of the user's directory: where the package belongs, and what it is built for here.
type Basis struct {
	ImportPath string
	GoVersion  string // that its module asks for
	Config     Config
	Matching   *build.Context // which other constraints hold
}

// Basis asks for it. Without a Go file in the directory, the module says what its import path would be.
func (g *Command) Basis() (*Basis, error) {
	const format = `{{.ImportPath}}|{{with .Module}}{{.GoVersion}}{{end}}|{{with context}}{{.GOOS}}|{{.GOARCH}}|{{.CgoEnabled}}|` +
		`{{join .BuildTags " "}}|{{join .ToolTags " "}}|{{join .ReleaseTags " "}}{{end}}`
	output, err := g.list(nil, "-find", "-f", format, "--", g.dir)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(strings.TrimSuffix(string(output), "\n"), "|")
	if len(fields) != 8 {
		return nil, fmt.Errorf("go list in %s: cannot understand %q", g.dir, output)
	}
	b := &Basis{
		Config:   Config{GOOS: fields[2], GOARCH: fields[3], Cgo: fields[4] == "true", Tags: strings.Fields(fields[5])},
		Matching: &build.Context{Compiler: "gc", ToolTags: strings.Fields(fields[6]), ReleaseTags: strings.Fields(fields[7])},
	}
	if fields[1] != "" {
		b.ImportPath, b.GoVersion = fields[0], fields[1]
		return b, nil
	}
	module, err := g.findModule()
	if err != nil {
		return nil, err
	}
	b.GoVersion = module.GoVersion
	b.ImportPath, err = module.importPath(g.dir)
	return b, err
}
