package source

import (
	"go/build/constraint"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// mentionedTags returns the tags of the package's own that its constraints name.
func mentionedTags(files []*File) []string {
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
	return !gofile.IsPlatform(tag) && !strings.HasPrefix(tag, "go1.") && !strings.Contains(tag, ".")
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
