package codegen

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxReports is how many mistakes are shown at once: the rest is likely to be more of the same.
const maxReports = 10

// mistakes gathers what is wrong with the user's .proto files and options, so that a run shows more than the first.
type mistakes struct {
	all      []mistake
	reported map[string]bool // messages: each is shown once
}

type mistake struct {
	path    string
	line    int
	message string
}

// add has a mistake shown, before those that have a place.
func (m *mistakes) add(message string) { m.all = append(m.all, mistake{message: message}) }

func (m *mistakes) addAt(path string, location protoreflect.SourceLocation, message string) {
	message = position(path, location) + ": " + message
	if !m.reported[message] {
		m.reported[message] = true
		m.all = append(m.all, mistake{path, location.StartLine, message})
	}
}

// err returns the mistakes as one error, in the order of the files, or nil if there are none.
func (m *mistakes) err() error {
	slices.SortStableFunc(m.all, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line))
	})
	var lines []string
	for i, found := range m.all {
		if i == maxReports {
			lines = append(lines, fmt.Sprintf("and %d more", len(m.all)-maxReports))
			break
		}
		lines = append(lines, found.message)
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func locate(d protoreflect.Descriptor) (path string, location protoreflect.SourceLocation) {
	file := d.ParentFile()
	return file.Path(), file.SourceLocations().ByDescriptor(d)
}

// position is path:line:column, or the path alone: protoc sends no line numbers of files that are only imported.
func position(path string, location protoreflect.SourceLocation) string {
	if location.Path == nil {
		return path
	}
	return fmt.Sprintf("%s:%d:%d", path, location.StartLine+1, location.StartColumn+1)
}
