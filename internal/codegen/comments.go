package codegen

import (
	"go/doc/comment"
	"strings"
	"unicode"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Doc is a doc comment. In a template it prints as Go comment lines.
type Doc []string

// String returns the comment as Go code at the start of a line.
func (d Doc) String() string { return d.at("") }

// Indent returns the comment as Go code, one tab in.
func (d Doc) Indent() string { return d.at("\t") }

func (d Doc) at(indent string) string {
	var b strings.Builder
	for _, line := range d {
		b.WriteString(indent)
		b.WriteString("//")
		// The space turns what would be a directive to a Go tool (//go:build, //line, //nolint) into plain text.
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			b.WriteByte(' ')
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// paragraph appends text after an empty line.
func (d Doc) paragraph(lines ...string) Doc {
	if len(d) > 0 && len(lines) > 0 {
		d = append(d, "")
	}
	return append(d, lines...)
}

// formatted returns the comment as gofmt leaves it. To format it once, with the rest of the file, is not always enough:
// an empty line that gofmt adds can make it take the next line for a heading, which it marks as one the next time, and
// of a row of backticks it makes one quotation mark at a time.
func (d Doc) formatted() Doc {
	var b strings.Builder
	for _, line := range d {
		b.WriteString(strings.TrimPrefix(line, " "))
		b.WriteByte('\n')
	}
	text := b.String()
	for range 5 + strings.Count(text, "``") + strings.Count(text, "''") {
		var parser comment.Parser
		var printer comment.Printer
		again := string(printer.Comment(parser.Parse(text)))
		if again == text {
			break
		}
		text = again
	}
	var lines Doc
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line != "" && line[0] != '\t' {
			line = " " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// isDeprecated says whether there is a paragraph that Go tools take for a notice of deprecation.
func (d Doc) isDeprecated() bool {
	for i, line := range d {
		if strings.HasPrefix(strings.TrimSpace(line), "Deprecated: ") && (i == 0 || strings.TrimSpace(d[i-1]) == "") {
			return true
		}
	}
	return false
}

// commentLines joins the comments of a declaration in the order of the .proto file: detached, leading, trailing, with
// an empty line between them.
func commentLines(set protogen.CommentSet) []string {
	var doc Doc
	for _, detached := range set.LeadingDetached {
		doc = doc.paragraph(textLines(string(detached))...)
	}
	doc = doc.paragraph(textLines(string(set.Leading))...)
	return doc.paragraph(textLines(string(set.Trailing))...)
}

// textLines cuts a comment into lines that are safe in a Go comment, without the empty ones around it. The text may
// hold anything: only what ends a line, or what Go refuses in source, does harm behind //.
func textLines(text string) []string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.TrimPrefix(text, "*") // of /**, by which other languages mark such comments
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRightFunc(strings.Map(printable, line), unicode.IsSpace)
		// Such a line is gofmt's, wherever it is, to make a build constraint of; and linters take it for a mistyped one.
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "+build") || strings.HasPrefix(trimmed, "go:") {
			line = "(" + trimmed + ")"
		}
		lines = append(lines, line)
	}
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// printable replaces control characters and byte order marks, which Go refuses in source or tools choke on.
func printable(r rune) rune {
	if r == '\t' || !unicode.IsControl(r) && r != '\uFEFF' && r != '\u2028' && r != '\u2029' {
		return r
	}
	return ' '
}

// license returns the comments at the top of the .proto file, which is where a license is.
func license(f *protogen.File) string {
	const syntaxField, editionField = 12, 14 // of google.protobuf.FileDescriptorProto
	doc := locationDoc(f, syntaxField)
	if len(doc) == 0 {
		doc = locationDoc(f, editionField)
	}
	if len(doc) == 0 {
		return ""
	}
	return doc.String() + "\n"
}

// packageDoc returns what the .proto file says of its package.
func packageDoc(f *protogen.File) string {
	const packageField = 2 // of google.protobuf.FileDescriptorProto
	doc := locationDoc(f, packageField)
	if len(doc) == 0 {
		return ""
	}
	return doc.formatted().String()
}

func locationDoc(f *protogen.File, field int32) Doc {
	location := f.Desc.SourceLocations().ByPath(protoreflect.SourcePath{field})
	set := protogen.CommentSet{
		Leading:  protogen.Comments(location.LeadingComments),
		Trailing: protogen.Comments(location.TrailingComments),
	}
	for _, detached := range location.LeadingDetachedComments {
		set.LeadingDetached = append(set.LeadingDetached, protogen.Comments(detached))
	}
	return commentLines(set)
}

// isDeprecated reads the option that files, services and methods have in common.
func isDeprecated(options any) bool {
	o, ok := options.(interface{ GetDeprecated() bool })
	return ok && o.GetDeprecated()
}
