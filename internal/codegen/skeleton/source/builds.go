package source

import (
	"bytes"
	"go/build"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/golist"
)

// Build is the files that some configuration selects. Other configurations that select the same are the same to us.
type Build struct {
	Config   golist.Config
	Files    []*File // without tests
	Tests    []*File // in the same package
	External []*File // tests in a package of their own, which imports this one

	otherCgo bool // rather than what this machine has
}

func (b *Build) String() string {
	name := b.Config.GOOS + "/" + b.Config.GOARCH
	if b.otherCgo {
		name += map[bool]string{true: " with", false: " without"}[b.Config.Cgo] + " cgo"
	}
	if len(b.Config.Tags) > 0 {
		name += " with the tags " + strings.Join(b.Config.Tags, ",")
	}
	return name
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

// FindBuilds returns the build configurations of the package, the one of this machine first. Platforms count if a
// file of the package asks for them; so do tags, in all combinations if they are few. No one sets the tag ignore.
func FindBuilds(basis *golist.Basis, files []*File) []*Build {
	here := basis.Config
	var found []*Build
	seen := make(map[string]bool)
	platforms := []string{here.GOOS + "/" + here.GOARCH}
	if slices.ContainsFunc(files, func(f *File) bool { return f.isConstrained }) {
		platforms = append(platforms, strings.Fields(ports)...)
	}
	for _, tags := range tagSets(here.Tags, mentionedTags(files)) {
		for _, cgo := range []bool{here.Cgo, !here.Cgo} {
			for _, platform := range platforms {
				b := &Build{Config: golist.Config{Cgo: cgo, Tags: tags}, otherCgo: cgo != here.Cgo}
				b.Config.GOOS, b.Config.GOARCH, _ = strings.Cut(platform, "/")
				key := b.choose(basis.Matching, files)
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
func (b *Build) choose(matching *build.Context, files []*File) (key string) {
	for _, file := range files {
		if !file.matches(b, matching) {
			continue
		}
		key += file.Name + "\n"
		switch {
		case !file.IsTest:
			b.Files = append(b.Files, file)
		case strings.HasSuffix(file.PackageName, "_test"):
			b.External = append(b.External, file)
		case file.PackageName != "":
			b.Tests = append(b.Tests, file)
		}
	}
	return key
}

// reduceBuilds leaves out configurations that have no file, and those that are none, since the names of the packages
// differ. The first one stays if it is the only one, or if it is for the user to mend.
func reduceBuilds(all []*Build) []*Build {
	builds := slices.DeleteFunc(slices.Clone(all), func(b *Build) bool {
		return len(b.Files) == 0 || b != all[0] && len(b.packageNames()) > 1
	})
	if len(builds) == 0 {
		return all[:1]
	}
	if len(builds) <= maxBuilds {
		return builds
	}
	covered := make(map[*File]bool)
	return slices.DeleteFunc(builds, func(b *Build) bool {
		fresh := false
		for _, file := range b.Files {
			fresh = fresh || !covered[file]
			covered[file] = true
		}
		return !fresh
	})
}

// packageNames returns the names of the packages that the files say they belong to.
func (b *Build) packageNames() []string {
	var names []string
	for _, file := range b.Files {
		if name := file.PackageName; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// matches says whether a configuration builds the file.
func (f *File) matches(b *Build, matching *build.Context) bool {
	if f.PackageName == "documentation" {
		return false // The go command leaves it to go doc.
	}
	if !f.isConstrained {
		return true
	}
	context := *matching
	context.GOOS, context.GOARCH, context.CgoEnabled, context.BuildTags = b.Config.GOOS, b.Config.GOARCH, b.Config.Cgo, b.Config.Tags
	context.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Source)), nil }
	match, err := context.MatchFile(filepath.Dir(f.Path), f.Name)
	if err != nil {
		return true // What cannot be read is reported when it is parsed.
	}
	return match && (b.Config.Cgo || !f.usesCgo) // MatchFile does not read imports.
}
