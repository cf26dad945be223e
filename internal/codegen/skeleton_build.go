package codegen

import (
	"bytes"
	"fmt"
	"go/build"
	"go/build/constraint"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// userBuild is a build configuration of the user's package: the files that some platform and some tags select. Others
// that select the same files are the same to us.
type userBuild struct {
	goos, goarch string
	cgo          bool
	otherCgo     bool // rather than what this machine has
	tags         []string

	files    []*userFile // without tests
	tests    []*userFile // in the same package
	external []*userFile // tests in a package of their own, which imports this one
	types    *universe

	plain, tested *checkedPackage // as they are on disk: without tests, and with them

	added map[string]*addedMethod // by methodKey
}

func (b *userBuild) String() string {
	name := b.goos + "/" + b.goarch
	if b.otherCgo {
		name += map[bool]string{true: " with", false: " without"}[b.cgo] + " cgo"
	}
	if len(b.tags) > 0 {
		name += " with the tags " + strings.Join(b.tags, ",")
	}
	return name
}

// env is the environment in which the go command sees this configuration.
func (b *userBuild) env() []string {
	cgo := "0"
	if b.cgo {
		cgo = "1"
	}
	return []string{"GOOS=" + b.goos, "GOARCH=" + b.goarch, "CGO_ENABLED=" + cgo}
}

// ports are the platforms on which files of a package may be built, the usual ones first.
const ports = "linux/amd64 windows/amd64 darwin/arm64 linux/arm64 darwin/amd64 linux/386 linux/arm linux/loong64 linux/mips " +
	"linux/mips64 linux/mips64le linux/mipsle linux/ppc64 linux/ppc64le linux/riscv64 linux/s390x windows/386 " +
	"windows/arm64 aix/ppc64 android/arm64 android/amd64 android/386 android/arm dragonfly/amd64 freebsd/amd64 " +
	"freebsd/386 freebsd/arm freebsd/arm64 freebsd/riscv64 illumos/amd64 ios/arm64 ios/amd64 js/wasm netbsd/amd64 " +
	"netbsd/386 netbsd/arm netbsd/arm64 openbsd/amd64 openbsd/386 openbsd/arm openbsd/arm64 openbsd/ppc64 " +
	"openbsd/riscv64 plan9/amd64 plan9/386 plan9/arm solaris/amd64 wasip1/wasm"

// maxBuilds is how many build configurations are looked at. Of more, those are that have a file of their own.
const maxBuilds = 16

// findBuilds returns the build configurations of the package, the one of this machine first. Platforms count if a
// file of the package asks for them; so do tags, in all combinations if they are few. No one sets the tag ignore.
func findBuilds(base *userBuild, matching *build.Context, files []*userFile) []*userBuild {
	var found []*userBuild
	seen := make(map[string]bool)
	platforms := []string{base.goos + "/" + base.goarch}
	if slices.ContainsFunc(files, func(f *userFile) bool { return f.isConstrained }) {
		platforms = append(platforms, strings.Fields(ports)...)
	}
	for _, tags := range tagSets(base.tags, mentionedTags(files)) {
		for _, cgo := range []bool{base.cgo, !base.cgo} {
			for _, platform := range platforms {
				b := &userBuild{cgo: cgo, otherCgo: cgo != base.cgo, tags: tags, added: make(map[string]*addedMethod)}
				b.goos, b.goarch, _ = strings.Cut(platform, "/")
				b.goarch = strings.TrimPrefix(b.goarch, "/")
				key := b.choose(matching, files)
				if !seen[key] {
					seen[key] = true
					found = append(found, b)
				}
			}
		}
	}
	return reduceBuilds(found)
}

// choose selects the files of a configuration, and returns their names.
func (b *userBuild) choose(matching *build.Context, files []*userFile) (key string) {
	for _, file := range files {
		if !file.matches(b, matching) {
			continue
		}
		key += file.name + "\n"
		switch {
		case !file.isTest:
			b.files = append(b.files, file)
		case strings.HasSuffix(file.packageName, "_test"):
			b.external = append(b.external, file)
		case file.packageName != "":
			b.tests = append(b.tests, file)
		}
	}
	return key
}

// reduceBuilds leaves out configurations that have no file, and those that are none, since the names of the packages
// differ. The first one stays if it is the only one, or if it is for the user to mend.
func reduceBuilds(all []*userBuild) []*userBuild {
	builds := slices.DeleteFunc(slices.Clone(all), func(b *userBuild) bool {
		return len(b.files) == 0 || b != all[0] && len(b.packageNames()) > 1
	})
	if len(builds) == 0 {
		return all[:1]
	}
	if len(builds) <= maxBuilds {
		return builds
	}
	covered := make(map[*userFile]bool)
	return slices.DeleteFunc(builds, func(b *userBuild) bool {
		fresh := false
		for _, file := range b.files {
			fresh = fresh || !covered[file]
			covered[file] = true
		}
		return !fresh
	})
}

// packageNames returns the names of the packages that the files say they belong to.
func (b *userBuild) packageNames() []string {
	var names []string
	for _, file := range b.files {
		if name := file.packageName; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// matches says whether a configuration builds the file.
func (f *userFile) matches(b *userBuild, matching *build.Context) bool {
	if f.packageName == "documentation" {
		return false // The go command leaves it to go doc.
	}
	if !f.isConstrained {
		return true
	}
	context := *matching
	context.GOOS, context.GOARCH, context.CgoEnabled, context.BuildTags = b.goos, b.goarch, b.cgo, b.tags
	context.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.source)), nil }
	match, err := context.MatchFile(filepath.Dir(f.path), f.name)
	if err != nil {
		return true // What cannot be read is reported when it is parsed.
	}
	return match && (b.cgo || !f.usesCgo) // MatchFile leaves that to who reads the imports.
}

// mayBeConstrained says whether the file may be for some builds only: by its name, a constraint, or because it uses cgo.
// Most files are not, and there are many builds to try.
func (f *userFile) mayBeConstrained() bool {
	nowhere := build.Context{GOOS: "none", GOARCH: "none", Compiler: "gc", OpenFile: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package p\n")), nil
	}}
	byName, err := nowhere.MatchFile(filepath.Dir(f.path), f.name)
	return !byName || err != nil || bytes.Contains(f.source, []byte("//go:build")) ||
		bytes.Contains(f.source, []byte("+build")) || bytes.Contains(f.source, []byte(`"C"`)) || bytes.Contains(f.source, []byte("`C`"))
}

// mentionedTags returns the tags of the package's own that its constraints name.
func mentionedTags(files []*userFile) []string {
	var tags []string
	for _, file := range files {
		for _, line := range file.constraints {
			expression, err := constraint.Parse(line)
			if err != nil {
				continue
			}
			expression.Eval(func(tag string) bool {
				if isOwnTag(tag) && !slices.Contains(tags, tag) {
					tags = append(tags, tag)
				}
				return false
			})
		}
	}
	return tags
}

// isOwnTag says whether a tag is one that users choose, rather than one that the go command sets by itself.
func isOwnTag(tag string) bool {
	switch tag {
	case "ignore", "unix", "cgo", "gc", "gccgo":
		return false
	}
	return !platforms[tag] && !strings.HasPrefix(tag, "go1.") && !strings.Contains(tag, ".")
}

// tagSets returns the sets of tags to look at: all combinations of up to four tags, or else each of them alone.
func tagSets(base, mentioned []string) [][]string {
	with := func(toggled func(i int) bool) []string {
		set := slices.Clone(base)
		for i, tag := range mentioned {
			switch {
			case !toggled(i):
			case slices.Contains(base, tag):
				set = slices.DeleteFunc(set, func(t string) bool { return t == tag })
			default:
				set = append(set, tag)
			}
		}
		return set
	}
	var sets [][]string
	if len(mentioned) <= 4 {
		for bits := range 1 << len(mentioned) {
			sets = append(sets, with(func(i int) bool { return bits>>i&1 == 1 }))
		}
		return sets
	}
	sets = append(sets, with(func(int) bool { return false }))
	for only := range mentioned {
		sets = append(sets, with(func(i int) bool { return i == only }))
	}
	return append(sets, with(func(int) bool { return true }))
}

// basis is what the go command says of the user's directory: where the package belongs, and what it is built for here.
type basis struct {
	importPath string // empty if there is no Go file yet
	goVersion  string
	build      *userBuild
	matching   *build.Context
}

// basis asks for it.
func (g *goCommand) basis() (*basis, error) {
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
	b := &basis{
		build:    &userBuild{goos: fields[2], goarch: fields[3], cgo: fields[4] == "true", tags: strings.Fields(fields[5])},
		matching: &build.Context{Compiler: "gc", ToolTags: strings.Fields(fields[6]), ReleaseTags: strings.Fields(fields[7])},
	}
	if fields[1] != "" {
		b.importPath, b.goVersion = fields[0], fields[1]
		return b, nil
	}
	module, err := g.module()
	if err != nil {
		return nil, err
	}
	b.goVersion = module.GoVersion
	b.importPath, err = module.importPath(g.dir)
	return b, err
}
